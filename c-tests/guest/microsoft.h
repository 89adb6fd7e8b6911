/* What guests for Microsoft's ABI have in the place of cr.h and of a C runtime: there are none of Microsoft's headers and
 * libraries where the tests are built. */
struct context {
    void *p;
    void *userdata;
    unsigned version;
    unsigned failure;
    unsigned next_version;
    unsigned last_working_version;
};

int DllMain(void *image, unsigned reason, void *reserved);
__declspec(dllexport) int cr_main(struct context *ctx, int operation);

int DllMain(void *image, unsigned reason, void *reserved) {
    (void)image;
    (void)reason;
    (void)reserved;
    return 1;
}
