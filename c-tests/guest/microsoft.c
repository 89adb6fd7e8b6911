/* A guest for Microsoft's ABI: it needs no header and no library, for there are none of Microsoft's where the tests are
 * built. */
#include "exceptions.h"

struct context {
    void *p;
    void *userdata;
    unsigned version;
    unsigned failure;
    unsigned next_version;
    unsigned last_working_version;
};

static volatile int zero;
static int __attribute__((section(".state"), used)) steps = 100;

int DllMain(void *image, unsigned reason, void *reserved);
__declspec(dllexport) int cr_main(struct context *ctx, int operation);

int DllMain(void *image, unsigned reason, void *reserved) {
    (void)image;
    (void)reason;
    (void)reserved;
    return 1;
}

int cr_main(struct context *ctx, int operation) {
    struct windows_task *task = (struct windows_task *)ctx->userdata;
    if (operation == 1 && task->what != WINDOWS_NOTHING) {
        *(volatile int *)(unsigned long long)zero = 1;
    }
    return operation == 1 ? ++steps + BUILD : 0;
}
