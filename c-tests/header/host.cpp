// A host in C++ that calls everything, old and new.
#define CR_HOST CR_SAFEST
#include "cr.h"
#include "cr.h"

// Declarations by hand beside the header's, as hosts have them that were written for several headers.
extern "C" bool cr_plugin_open(cr_plugin &ctx, const char *fullpath);
extern "C" int cr_plugin_update(cr_plugin &ctx, bool reloadCheck);
extern "C" void cr_plugin_close(cr_plugin &ctx);

static void on_message(void *log_data, cr_log_level level, const char *message) {
    *static_cast<std::string *>(log_data) = level == CR_LOG_LEVEL_ERROR ? message : "";
}

int main() {
    bool (*open)(cr_plugin &, const char *) = cr_plugin_open;
    std::string last;
    cr_options options = CR_OPTIONS_INIT;
    options.mode = CR_DISABLE;
    options.temporary_path = "/tmp";
    options.log = on_message;
    options.log_data = &last;
    cr_plugin ctx;
    ctx.userdata = nullptr;
    if (!open(ctx, CR_PLUGIN("game")) || !cr_plugin_load(ctx, "x") || !cr_plugin_open_with(ctx, "x", options) ||
        !cr_plugin_open_with(&ctx, "x", nullptr)) {
        return cr_plugin_error(ctx)[0] + cr_plugin_error(&ctx)[0];
    }
    cr_plugin copy = ctx;
    cr_set_temporary_path(copy, "/tmp");
    cr_set_temporary_path(copy, last);
    cr_set_temporary_path(&copy, nullptr);
    if (cr_plugin_changed(copy)) {
        cr_plugin_reload(copy);
    }
    enum cr_failure failure = copy.failure;
    if (cr_plugin_update(copy) < 0 && failure == CR_SEGFAULT && !cr_plugin_rollback(copy)) {
        return cr_plugin_unload(copy, true, false);
    }
    while (cr_plugin_update(copy, false) > 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(std::max(10, 20))); // all from headers that cr.h includes
    }
    CR_ASSERT(CR_OP_MODE == CR_SAFEST);
    CR_FREE(CR_REALLOC(CR_MALLOC(1), 2));
    CR_LOG("%d\n", 1);
    CR_ERROR("%d\n", 1);
    CR_TRACE
    cr_plugin_close(copy);
    return cr_version_string()[0] != CR_VERSION_STRING[0] || CR_MAIN_FUNC[0] != 'c';
}
