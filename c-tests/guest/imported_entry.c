/* No guest: cr_main is a name in its symbol table, but an imported one. */
int cr_main(void *ctx, int operation);
int other_main(void *ctx, int operation);

int other_main(void *ctx, int operation) { return cr_main(ctx, operation); }
