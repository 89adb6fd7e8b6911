#include <stdio.h>
#include <string.h>

#define CR_HOST CR_SAFE
#include "cr.h"

int main(int argc, char **argv) {
    struct cr_plugin ctx;
    int result;
    if (argc != 2 || strncmp(cr_version_string(), "0.1.", 4) != 0) {
        return 2;
    }
    if (!cr_plugin_open(&ctx, argv[1])) {
        fprintf(stderr, "open: %s\n", cr_plugin_error(&ctx));
        return 3;
    }
    result = cr_plugin_update(&ctx, true);
    if (result != 41) {
        fprintf(stderr, "update: %d: %s\n", result, cr_plugin_error(&ctx));
        return 4;
    }
    cr_plugin_close(&ctx);
    return cr_plugin_update(&ctx, true) == -2 ? 0 : 5;
}
