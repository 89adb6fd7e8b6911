// No CR_HOST: the functions are declared by hand, as in hosts whose cr.h is implemented in another file.
#include "cr.h"

extern "C" bool cr_plugin_open(cr_plugin &ctx, const char *fullpath);
extern "C" bool cr_plugin_load(cr_plugin &ctx, const char *fullpath);
extern "C" int cr_plugin_update(cr_plugin &ctx, bool reloadCheck = true);
extern "C" void cr_plugin_close(cr_plugin &ctx);

int main() {
    cr_plugin ctx;
    cr_plugin_open(ctx, "game");
    cr_plugin_load(ctx, "game");
    cr_plugin_update(ctx);
    cr_plugin_close(ctx);
    return 0;
}
