/*
 * A library in the place of the real one: it prints what arrives and uses what it is given.
 */
#define CR_HOST
#include "cr.h"
#include <stdio.h>

#undef cr_plugin_open
#undef cr_plugin_load

static struct cr_internal internal = {"/games/pong/libgame.so", "/tmp/copies/", NULL};

bool cr_plugin_open(struct cr_plugin *ctx, const char *fullpath) {
    ctx->p = &internal;
    printf("open %s\n", fullpath);
    return true;
}

bool cr_plugin_load(struct cr_plugin *ctx, const char *fullpath) {
    ctx->p = &internal;
    printf("load %s\n", fullpath);
    return true;
}

bool cr_plugin_open_with(struct cr_plugin *ctx, const char *fullpath, const struct cr_options *options) {
    ctx->p = &internal;
    ctx->failure = CR_NONE;
    printf("open %s with mode %d, main_func %s, size %s\n", fullpath, (int)options->mode, options->main_func,
           options->size == sizeof(*options) ? "right" : "wrong");
    if (options->log) {
        options->log(options->log_data, CR_LOG_LEVEL_ERROR, "100% error");
        options->log(options->log_data, CR_LOG_LEVEL_INFO, "100% info");
        options->log(options->log_data, CR_LOG_LEVEL_TRACE, "cr_plugin_open");
        options->log(options->log_data, CR_LOG_LEVEL_TRACE, "cr_plugin_close");
        options->log(options->log_data, CR_LOG_LEVEL_TRACE, "a name that the header does not know");
    } else {
        printf("no log\n");
    }
    if (options->malloc_func && options->realloc_func && options->free_func) {
        void *ptr = options->malloc_func(10);
        ptr = options->realloc_func(ptr, 20);
        options->free_func(ptr);
    } else {
        printf("no allocator\n");
    }
    return true;
}

int cr_plugin_update(struct cr_plugin *ctx, bool reloadCheck) {
    printf("update %s\n", reloadCheck ? "true" : "false");
    return ctx->p == &internal ? 7 : -2;
}

void cr_plugin_close(struct cr_plugin *ctx) {
    ctx->p = NULL;
    printf("close\n");
}

bool cr_plugin_changed(struct cr_plugin *ctx) {
    printf("changed\n");
    return ctx->p == &internal;
}

void cr_plugin_reload(struct cr_plugin *ctx) {
    (void)ctx;
    printf("reload\n");
}

bool cr_plugin_rollback(struct cr_plugin *ctx) {
    printf("rollback\n");
    return ctx->p == &internal;
}

int cr_plugin_unload(struct cr_plugin *ctx, bool rollback, bool close) {
    (void)ctx;
    printf("unload %d %d\n", rollback, close);
    return 5;
}

const char *cr_plugin_error(const struct cr_plugin *ctx) {
    (void)ctx;
    return "an error";
}

const char *cr_version_string(void) { return CR_VERSION_STRING; }

void cr_set_temporary_path(struct cr_plugin *ctx, const char *path) {
    (void)ctx;
    printf("temporary path %s\n", path);
}
