/* The library that some guests need, and that is missing in most tests. */
__declspec(dllexport) void nowhere_to_be_found(void);
__declspec(dllexport) int cr_main(void *ctx, int operation);

void nowhere_to_be_found(void) {}

int cr_main(void *ctx, int operation) {
    (void)ctx;
    return operation;
}
