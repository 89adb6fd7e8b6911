#include <cstdio>

#define CR_HOST
#include "cr.h"

int step(cr_plugin &ctx); // part.cpp

int main(int argc, char **argv) {
    cr_plugin ctx;
    if (argc != 2 || !cr_plugin_open(ctx, argv[1])) {
        return 3;
    }
    const int result = step(ctx);
    if (result != 41) {
        std::fprintf(stderr, "update: %d: %s\n", result, cr_plugin_error(&ctx));
        return 4;
    }
    cr_plugin_close(ctx);
    return step(ctx) == -2 ? 0 : 5;
}
