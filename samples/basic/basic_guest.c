/* A guest: the part of a program that is rebuilt while the program runs.
 *
 * Start basic_host, change something here, rebuild (`cmake --build build --target basic_guest`) and look at the
 * host's output. Places to try are marked TRY. */
#include <stdio.h>

#include "cr.h"

/* Variables marked CR_STATE keep their values when a new version takes over. */
static unsigned CR_STATE steps = 0;

/* A variable that has an initial value and is not marked begins anew with each version. */
static int first_step = 1;

static void work(void) {
    steps += 1; /* TRY: another number */
    if (steps % 100 == 0) {
        printf("guest: %u steps\n", steps); /* TRY: another text */
    }
}

static void crash(void) {
    /* TRY: take the next line out of its comment. The host survives and goes back to the version before. */
    /* *(volatile int *)0 = 1; */
}

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    switch (operation) {
    case CR_LOAD:
        if (ctx->failure != CR_NONE) {
            printf("guest: back to version %u after failure %u\n", ctx->version, (unsigned)ctx->failure);
        }
        return 0;
    case CR_UNLOAD:
        printf("guest: version %u makes room\n", ctx->version);
        return 0;
    case CR_CLOSE:
        printf("guest: closing after %u steps\n", steps);
        return 0;
    case CR_STEP:
        break;
    }

    if (first_step) {
        first_step = 0;
        printf("guest: version %u runs, %u steps so far\n", ctx->version, steps);
    }
    work();
    crash();
    return 0; /* TRY: 1, and the host ends. A negative number is a failure. */
}
