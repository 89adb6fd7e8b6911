/* Compiled for another size of pointer. Needs no headers and no library, so that any compiler can do it. */
int cr_main(void *ctx, int operation);

int cr_main(void *ctx, int operation) {
    (void)ctx;
    (void)operation;
    return 0;
}
