/* A version that only reads its state: the value may come from the version before, so it is no constant. C and C++. */
#include "cr.h"

static int CR_STATE kept = 1;

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    (void)ctx;
    (void)operation;
    return kept;
}
