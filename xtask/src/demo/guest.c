#include <stdio.h>

#include "cr.h"

static unsigned CR_STATE frames = 0;

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    if (operation == CR_LOAD && ctx->failure != CR_NONE) {
        printf("guest: version %u is back\n", ctx->version);
    }
    if (operation != CR_STEP) {
        return 0;
    }
    frames += 1;
    if (frames % 50 == 0) {
        printf("guest: frame %u: good morning from version %u\n", frames, ctx->version);
    }
    return 0;
}
