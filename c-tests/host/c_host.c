/* CONTRACT §3 rows 13 and 16: a host in C11. The whole interface, with pointers and with NULL. */
#define CR_HOST
#include "cr.h"

#include "../guest/script.h"
#include "check.h"
#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct cr_plugin) == 2 * sizeof(void *) + 16, "the layout is the contract");
_Static_assert(sizeof(enum cr_failure) == sizeof(unsigned), "as in the original");

static struct script orders;

/* "marker.operation@version" of one event. */
static const char *event(unsigned index) {
    static const char *const names[] = {"load", "step", "unload", "close"};
    static char text[64];
    const struct script_event *e = &orders.events[index];
    CHECK(index < orders.count);
    snprintf(text, sizeof text, "%c.%s@%u", e->marker, names[e->what & 3], e->version);
    return text;
}

static void open_guest(struct cr_plugin *ctx) {
    install("general_a", path_of("libguest.so"));
    memset(ctx, 0xaa, sizeof *ctx);
    ctx->userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
}

SCENARIO(r16_host_in_c_lives_the_whole_cycle) {
    struct cr_plugin ctx;
    open_guest(&ctx);
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    CHECK_EQ(1, ctx.version);
    install("general_b", path_of("libguest.so"));
    CHECK(cr_plugin_changed(&ctx));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    CHECK_EQ(2, ctx.version);
    CHECK_EQ(102, orders.state_counter);
    orders.on[CR_STEP].action = ACT_NULL_WRITE;
    CHECK_EQ(-1, cr_plugin_update(&ctx, false));
    CHECK_EQ(CR_SEGFAULT, ctx.failure);
    CHECK_CONTAINS(NAME_OF_SIGSEGV, cr_plugin_error(&ctx));
    orders.on[CR_STEP].action = ACT_RETURN;
    CHECK_EQ(0, cr_plugin_update(&ctx, false));
    CHECK_EQ(1, ctx.version);
    cr_plugin_close(&ctx);
    CHECK(ctx.p == NULL);
    CHECK_TEXT("a.load@1", event(0));
    CHECK_TEXT("a.step@1", event(1));
    CHECK_TEXT("a.unload@1", event(2));
    CHECK_TEXT("b.load@2", event(3));
    CHECK_TEXT("b.step@2", event(4));
    CHECK_TEXT("b.step@2", event(5));
    CHECK_TEXT("a.load@1", event(6));
    CHECK_TEXT("a.step@1", event(7));
    CHECK_TEXT("a.close@1", event(8));
    CHECK_EQ(9, orders.count);
    CHECK_TEXT("libguest.so", list("."));
}

static int log_calls;

static void log_message(void *data, enum cr_log_level level, const char *message) {
    CHECK(data == &log_calls);
    CHECK(level <= CR_LOG_LEVEL_TRACE);
    CHECK(message && *message);
    ++log_calls;
}

SCENARIO(r16_host_in_c_with_options) {
    struct cr_plugin ctx;
    struct cr_options options = CR_OPTIONS_INIT;
    CHECK_EQ(sizeof options, options.size);
    CHECK_EQ(CR_UNSAFE, options.mode);
    options.mode = CR_SAFEST;
    options.main_func = "other_entry";
    options.temporary_path = ".";
    options.log = log_message;
    options.log_data = &log_calls;
    ctx.userdata = &orders;
    install("other_entry_a", path_of("libguest.so"));
    CHECK(cr_plugin_open_with(&ctx, path_of("libguest.so"), &options));
    memset(&options, 0xaa, sizeof options); /* it was copied */
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    CHECK(log_calls > 0);
    install("other_entry_b", path_of("libguest.so"));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    CHECK_EQ(2, ctx.version);
    cr_plugin_close(&ctx);
}

SCENARIO(r16_options_of_an_older_or_newer_header) {
    struct {
        struct cr_options options;
        char unknown[64];
    } newer = {CR_OPTIONS_INIT, {1, 2, 3}};
    struct cr_plugin ctx;
    struct cr_options older = CR_OPTIONS_INIT;
    ctx.userdata = &orders;
    install("general_a", path_of("libguest.so"));
    newer.options.size = sizeof newer;
    CHECK(cr_plugin_open_with(&ctx, path_of("libguest.so"), &newer.options));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    cr_plugin_close(&ctx);

    memset(&older, 0xaa, sizeof older);
    older.size = offsetof(struct cr_options, main_func);
    older.mode = CR_SAFE;
    CHECK(cr_plugin_open_with(&ctx, path_of("libguest.so"), &older));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    cr_plugin_close(&ctx);

    older.size = sizeof(size_t);
    CHECK(!cr_plugin_open_with(&ctx, path_of("libguest.so"), &older));
    CHECK(*cr_plugin_error(&ctx));
    older.size = 0;
    CHECK(!cr_plugin_open_with(&ctx, path_of("libguest.so"), &older));
    newer.options.mode = (enum cr_mode)77;
    CHECK(!cr_plugin_open_with(&ctx, path_of("libguest.so"), &newer.options));
    CHECK_CONTAINS("77", cr_plugin_error(&ctx));
    CHECK(cr_plugin_open_with(&ctx, path_of("libguest.so"), NULL));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    cr_plugin_close(&ctx);
}

static int blocks;

static void *give(size_t size) {
    ++blocks;
    return malloc(size);
}
static void *give_again(void *ptr, size_t size) {
    blocks += ptr == NULL;
    return realloc(ptr, size);
}
static void take(void *ptr) {
    blocks -= ptr != NULL;
    free(ptr);
}
static void *give_nothing(size_t size) {
    (void)size;
    return NULL;
}
static void *give_nothing_again(void *ptr, size_t size) {
    (void)ptr;
    (void)size;
    return NULL;
}

SCENARIO(r16_allocator_of_the_options) {
    struct cr_plugin ctx;
    struct cr_options options = CR_OPTIONS_INIT;
    options.malloc_func = give;
    options.realloc_func = give_again;
    options.free_func = take;
    ctx.userdata = &orders;
    install("general_a", path_of("libguest.so"));
    CHECK(cr_plugin_open_with(&ctx, path_of("libguest.so"), &options));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    touch(path_of("libguest.so"));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    CHECK(blocks > 0);
    CHECK_EQ(102, orders.state_counter);
    cr_plugin_close(&ctx);
    CHECK_EQ(0, blocks);
}

SCENARIO(r16_allocator_without_memory_keeps_the_running_version) {
    struct cr_plugin ctx;
    struct cr_options options = CR_OPTIONS_INIT;
    int i, steps = 0;
    options.malloc_func = give_nothing;
    options.realloc_func = give_nothing_again;
    options.free_func = take;
    ctx.userdata = &orders;
    install("general_a", path_of("libguest.so"));
    CHECK(cr_plugin_open_with(&ctx, path_of("libguest.so"), &options));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    install("general_b", path_of("libguest.so"));
    for (i = 0; i < 6; ++i) {
        int result = cr_plugin_update(&ctx, true);
        CHECK(result == 0 || result == -2);
        steps += result == 0;
        CHECK_EQ(1, ctx.version);
    }
    CHECK(steps >= 3);
    CHECK_TEXT("a.step@1", event(orders.count - 1));
    CHECK(*cr_plugin_error(&ctx));
    cr_plugin_close(&ctx);
}

static enum cr_answer count_still_mapped(struct cr_plugin *ctx, const struct cr_event *event, void *count) {
    (void)ctx;
    *(int *)count += event->kind == CR_EVENT_STILL_MAPPED;
    return CR_GO_ON;
}

/* There are dynamic loaders that never unmap an image. */
SCENARIO(r18_host_in_c_is_told_of_images_that_stay_mapped) {
    struct cr_plugin ctx;
    struct cr_options options = CR_OPTIONS_INIT;
    int told = 0, mapped = 0, i;
    char name[32];
    options.on_event = count_still_mapped;
    options.event_data = &told;
    ctx.userdata = &orders;
    install("general_a", path_of("libguest.so"));
    CHECK(cr_plugin_open_with(&ctx, path_of("libguest.so"), &options));
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    for (i = 1; i <= 5; ++i) {
        install(i % 2 ? "general_b" : "general_a", path_of("libguest.so"));
        CHECK_EQ(0, cr_plugin_update(&ctx, true));
        CHECK_EQ(i + 1, ctx.version);
        CHECK_EQ(101 + i, orders.state_counter);
        CHECK_EQ(101, orders.data_counter);
        snprintf(name, sizeof name, "libguest%d.so", i);
        mapped += count_mapped(name) > 0;
        CHECK_EQ(mapped, told);
    }
    cr_plugin_close(&ctx);
}

SCENARIO(r13_null_everywhere) {
    struct cr_plugin ctx;
    install("general_a", path_of("libguest.so"));
    CHECK(!cr_plugin_open(NULL, path_of("libguest.so")));
    CHECK(*cr_plugin_error(NULL));
    memset(&ctx, 0xaa, sizeof ctx);
    CHECK(!cr_plugin_open(&ctx, NULL));
    CHECK(ctx.p == NULL);
    CHECK(*cr_plugin_error(&ctx));
    CHECK(!cr_plugin_load(&ctx, NULL));
    CHECK(!cr_plugin_open(NULL, NULL));
    CHECK(!cr_plugin_open_with(NULL, NULL, NULL));
    CHECK_EQ(-2, cr_plugin_update(NULL, true));
    CHECK_EQ(-2, cr_plugin_update(NULL, false));
    cr_plugin_close(NULL);
    cr_set_temporary_path(NULL, NULL);
    cr_set_temporary_path(NULL, "x");
    CHECK(!cr_plugin_changed(NULL));
    cr_plugin_reload(NULL);
    CHECK(!cr_plugin_rollback(NULL));
    cr_plugin_unload(NULL, false, false);
    cr_plugin_unload(NULL, true, true);
    open_guest(&ctx);
    cr_set_temporary_path(&ctx, NULL);
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    CHECK_TEXT("libguest.so libguest1.so", list("."));
    cr_plugin_close(&ctx);
}

SCENARIO(r13_calls_after_a_failed_open_do_nothing) {
    struct cr_plugin ctx;
    int i;
    memset(&ctx, 0xaa, sizeof ctx);
    CHECK(!cr_plugin_open(&ctx, path_of("libnothing.so")));
    CHECK(ctx.p == NULL);
    CHECK(*cr_plugin_error(&ctx));
    for (i = 0; i < 2; ++i) {
        CHECK_EQ(-2, cr_plugin_update(&ctx, i == 0));
        CHECK_EQ(CR_BAD_IMAGE, ctx.failure);
        CHECK(*cr_plugin_error(&ctx));
        CHECK(!cr_plugin_changed(&ctx));
        cr_plugin_reload(&ctx);
        CHECK(!cr_plugin_rollback(&ctx));
        cr_plugin_unload(&ctx, false, true);
        cr_set_temporary_path(&ctx, "x");
        cr_plugin_close(&ctx);
    }
    CHECK_TEXT("", list("."));
}

SCENARIO(r13_calls_after_close_do_nothing) {
    struct cr_plugin ctx;
    open_guest(&ctx);
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    cr_plugin_close(&ctx);
    orders.count = 0;
    CHECK_EQ(-2, cr_plugin_update(&ctx, true));
    CHECK_EQ(CR_BAD_IMAGE, ctx.failure);
    CHECK(cr_plugin_error(&ctx) != NULL);
    cr_plugin_close(&ctx);
    cr_plugin_close(&ctx);
    CHECK(!cr_plugin_rollback(&ctx));
    CHECK_EQ(0, orders.count);
    open_guest(&ctx);
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    CHECK_EQ(2, orders.count);
    cr_plugin_close(&ctx);
}

SCENARIO(r13_context_of_zeros_is_not_open) {
    struct cr_plugin ctx;
    memset(&ctx, 0, sizeof ctx);
    CHECK_EQ(-2, cr_plugin_update(&ctx, true));
    CHECK_EQ(CR_BAD_IMAGE, ctx.failure);
    cr_plugin_close(&ctx);
}

SCENARIO(r13_failed_open_may_be_tried_again) {
    struct cr_plugin ctx;
    CHECK(!cr_plugin_open(&ctx, path_of("libguest.so")));
    open_guest(&ctx);
    CHECK_EQ(0, cr_plugin_update(&ctx, true));
    CHECK_TEXT("", cr_plugin_error(&ctx));
    cr_plugin_close(&ctx);
}
