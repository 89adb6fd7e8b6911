/* The guest of the benchmarks. BALLAST and BSS are megabytes of constant data and of zero-initialised state. */
#include <stddef.h>

#include "cr.h"

#ifdef BALLAST
const volatile char ballast[BALLAST * 1048576UL] = {1};
#endif
#ifdef BSS
static volatile char zero[BSS * 1048576UL];
#endif
static unsigned CR_STATE steps = 0;

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    const volatile int *crash = (const volatile int *)ctx->userdata;
    if (operation == CR_STEP) {
        steps += 1;
#ifdef BSS
        zero[steps % sizeof zero] = 1; /* or there is no state to carry */
#endif
        if (crash && *crash) {
            *(volatile int *)(size_t)(*crash - 1) = 1;
        }
    }
    return 0;
}
