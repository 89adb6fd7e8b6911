/* A guest for Microsoft's ABI. */
#include "exceptions.h"
#include "microsoft.h"

static volatile int zero;
static int __attribute__((section(".state"), used)) steps = 100;

int cr_main(struct context *ctx, int operation) {
    struct windows_task *task = (struct windows_task *)ctx->userdata;
    if (operation == 1 && task->what != WINDOWS_NOTHING) {
        /* The host knows the number of this line. */
        *(volatile int *)(unsigned long long)zero = 1;
    }
    return operation == 1 ? ++steps + BUILD : 0;
}
