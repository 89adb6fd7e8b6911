/* A host without any macro but CR_HOST, and perhaps CR_DEBUG. C and C++. */
#define CR_HOST
#include "cr.h"

int main(void) {
    struct cr_plugin ctx;
#ifdef __cplusplus
    return !cr_plugin_open(ctx, "game");
#else
    return !cr_plugin_open(&ctx, "game");
#endif
}
