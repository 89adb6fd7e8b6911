// CONTRACT §3 row 17: a text for every failure, on request.
#include "fixture.h"

namespace {

std::string text_of_crash(script_action action, int value = 0) {
    Plugin p("general_a");
    p.run();
    CHECK_TEXT("", cr_plugin_error(p.ctx));
    p.on(CR_STEP, action, value);
    CHECK(p.update() < 0);
    std::string text = cr_plugin_error(p.ctx);
    p.close();
    return text;
}

} // namespace

SCENARIO(r17_text_is_empty_before_any_failure) {
    Plugin p("general_a");
    CHECK_TEXT("", cr_plugin_error(p.ctx));
    p.run_next("general_b");
    CHECK_TEXT("", cr_plugin_error(p.ctx));
    p.close();
}

SCENARIO(r17_text_of_each_crash) {
    CHECK_CONTAINS(NAME_OF_SIGSEGV, text_of_crash(ACT_NULL_WRITE).c_str());
    CHECK_CONTAINS(NAME_OF_SIGILL, text_of_crash(ACT_ILLEGAL).c_str());
    CHECK_CONTAINS("SIGABRT", text_of_crash(ACT_ABORT).c_str());
    CHECK_CONTAINS(NAME_OF_SIGBUS, text_of_crash(ACT_BUS).c_str());
    CHECK_CONTAINS(NAME_OF_SIGFPE, text_of_crash(ACT_DIVIDE).c_str());
    CHECK_CONTAINS(NAME_OF_SIGTRAP, text_of_crash(ACT_TRAP).c_str());
    CHECK_CONTAINS("stack", text_of_crash(ACT_OVERFLOW).c_str());
    CHECK_CONTAINS("CR_STEP", text_of_crash(ACT_NULL_WRITE).c_str());
}

SCENARIO(r17_text_of_a_negative_value) { CHECK_CONTAINS("-17", text_of_crash(ACT_RETURN, -17).c_str()); }

SCENARIO(r17_text_of_each_operation) {
    const char *const names[] = {"CR_LOAD", "CR_STEP", "CR_UNLOAD"};
    for (cr_op op : {CR_LOAD, CR_STEP, CR_UNLOAD}) {
        Plugin p("general_a");
        p.run();
        p.install("general_b");
        p.on(op, ACT_NULL_WRITE);
        CHECK(p.update() < 0);
        CHECK_CONTAINS(names[op], cr_plugin_error(p.ctx));
        p.close();
    }
}

SCENARIO(r17_text_of_an_initial_failure_keeps_the_cause) {
    Plugin p("general_a");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK_CONTAINS(NAME_OF_SIGSEGV, cr_plugin_error(p.ctx));
    }
    p.close();
}

SCENARIO(r17_text_of_state_that_does_not_fit) {
    Plugin p("larger_stripped_b");
    p.run();
    p.install("narrow_stripped_a");
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_STATE_INVALIDATED, p.ctx.failure);
    CHECK_CONTAINS(".state", cr_plugin_error(p.ctx));
    p.close();
}

SCENARIO(r17_text_of_a_truncated_file_tells_both_lengths) {
    size_t size = 0;
    char *bytes = read_file(guest_path("large_b"), &size);
    Plugin p("general_a");
    p.run();
    install_bytes(bytes, 8000, p.path.c_str());
    CHECK_EQ(-2, p.update());
    CHECK_CONTAINS("8000", cr_plugin_error(p.ctx));
    p.close();
}

SCENARIO(r17_text_of_an_open_that_failed_needs_no_plugin) {
    cr_plugin ctx;
    CHECK(!cr_plugin_open(ctx, path_of("libnothing.so")));
    CHECK_CONTAINS("libnothing.so", cr_plugin_error(ctx));
    CHECK_CONTAINS("libnothing.so", cr_plugin_error(static_cast<const cr_plugin *>(nullptr)));
    CHECK(!cr_plugin_open(ctx, path_of("libother.so")));
    CHECK_CONTAINS("libother.so", cr_plugin_error(ctx));
}

SCENARIO(r17_texts_go_to_the_log) {
    static std::string messages;
    cr_options options = CR_OPTIONS_INIT;
    options.log = [](void *data, cr_log_level level, const char *message) {
        CHECK(data == &messages);
        if (level == CR_LOG_LEVEL_ERROR) {
            messages += std::string(message) + "\n";
        }
    };
    options.log_data = &messages;
    script orders = {};
    cr_plugin ctx;
    ctx.userdata = &orders;
    install("general_a", path_of("libguest.so"));
    CHECK(cr_plugin_open_with(ctx, path_of("libguest.so"), options));
    orders.on[CR_STEP].action = ACT_NULL_WRITE;
    CHECK_EQ(-1, cr_plugin_update(ctx));
    CHECK_CONTAINS(NAME_OF_SIGSEGV, messages.c_str());
    CHECK_CONTAINS(cr_plugin_error(ctx), messages.c_str());
    cr_plugin_close(ctx);
}

SCENARIO(r17_version_string_is_that_of_the_header) { CHECK_TEXT(CR_VERSION_STRING, cr_version_string()); }
