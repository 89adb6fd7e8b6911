/* A host in C that calls everything. */
#define CR_HOST CR_SAFE
#include "cr.h"
#include "cr.h"

/* A declaration by hand beside the header's. */
bool cr_plugin_open(struct cr_plugin *ctx, const char *fullpath);
int cr_plugin_update(struct cr_plugin *ctx, bool reloadCheck);

static void on_message(void *log_data, enum cr_log_level level, const char *message) {
    *(const char **)log_data = level == CR_LOG_LEVEL_ERROR ? message : NULL;
}

int main(void) {
    bool (*open)(struct cr_plugin *, const char *) = cr_plugin_open; /* it has an address */
    const char *last = NULL;
    struct cr_options options = CR_OPTIONS_INIT;
    struct cr_plugin ctx, copy;
    options.mode = CR_DISABLE;
    options.temporary_path = "/tmp";
    options.log = on_message;
    options.log_data = &last;
    ctx.userdata = NULL;
    if (!open(&ctx, CR_PLUGIN("game")) || !cr_plugin_load(&ctx, "x") || !cr_plugin_open_with(&ctx, "x", &options)) {
        return cr_plugin_error(&ctx)[0];
    }
    copy = ctx;
    cr_set_temporary_path(&copy, "/tmp");
    if (cr_plugin_changed(&copy)) {
        cr_plugin_reload(&copy);
    }
    if (cr_plugin_update(&copy, true) < 0 && copy.failure == CR_SEGFAULT && !cr_plugin_rollback(&copy)) {
        return cr_plugin_unload(&copy, true, false);
    }
    CR_ASSERT(((struct cr_internal *)copy.p)->fullname[0] && CR_OP_MODE == CR_SAFE);
    CR_FREE(CR_REALLOC(CR_MALLOC(1), 2));
    cr_plugin_close(&copy);
    return cr_version_string()[0] != CR_VERSION_STRING[0] || CR_MAIN_FUNC[0] != 'c';
}
