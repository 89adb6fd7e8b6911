/* The second guest of basic_host_b. Its state is its own, and a crash here does not concern the first one. */
#include <stdio.h>

#include "cr.h"

static unsigned CR_STATE ticks = 0;

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    if (operation == CR_LOAD) {
        printf("guest b: version %u at tick %u\n", ctx->version, ticks);
    } else if (operation == CR_STEP) {
        ticks += 1;
        if (ticks % 150 == 0) {
            printf("guest b: tick %u\n", ticks);
        }
    }
    return 0;
}
