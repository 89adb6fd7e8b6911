// Events: each one in each flow of the life cycle, in order, and what the host's answers do.
#include "controlled.h"

#include <cstddef>

SCENARIO(events_of_the_first_load) {
    Controlled p("general_a");
    CHECK_EQ(0, p.update());
    CHECK_TOLD("loaded@1", p);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("", p);
    p.close();
    CHECK_TOLD("before_unload@1 after_unload@1 closed@1", p);
}

SCENARIO(events_of_a_reload) {
    Controlled p("general_a");
    p.run();
    p.told();
    p.run_next("general_b");
    CHECK_TOLD("changed@2 before_unload@1 after_unload@1 carried@2 loaded@2", p);
    p.close();
}

SCENARIO(events_without_state_tell_of_none) {
    cr_options options = CR_OPTIONS_INIT;
    options.mode = CR_DISABLE;
    Controlled p("general_a", options);
    p.run();
    CHECK_TOLD("loaded@1", p);
    p.close();
}

SCENARIO(events_of_a_crash_in_each_operation) {
    struct Flow {
        cr_op operation;
        const char *at_crash, *afterwards;
    };
    const Flow flows[] = {
        {CR_STEP, "crash@2!1", "before_unload@2!1 after_unload@2!1 rollback@1!1 carried@1!1 loaded@1"},
        {CR_LOAD, "changed@2 before_unload@1 after_unload@1 carried@2 crash@2!1",
         "before_unload@2!1 after_unload@2!1 rollback@1!1 carried@1!1 loaded@1"},
        {CR_UNLOAD, "changed@3 crash@2!1 before_unload@2!1 after_unload@2!1", "rollback@1!1 carried@1!1 loaded@1"},
    };
    for (const Flow &flow : flows) {
        Controlled p("general_a");
        p.run();
        if (flow.operation != CR_LOAD) {
            p.run_next("general_b");
        }
        if (flow.operation != CR_STEP) {
            p.install(flow.operation == CR_LOAD ? "general_b" : "general_c");
        }
        p.told();
        p.on(flow.operation, ACT_NULL_WRITE);
        CHECK_EQ(flow.operation == CR_STEP ? -1 : -2, p.update());
        CHECK_TOLD(flow.at_crash, p);
        p.on(flow.operation, ACT_RETURN);
        CHECK_EQ(0, p.update());
        CHECK_TOLD(flow.afterwards, p);
        p.close();
    }
}

SCENARIO(events_of_a_crash_in_close) {
    Controlled p("general_a");
    p.run();
    p.told();
    p.on(CR_CLOSE, ACT_ABORT);
    p.close();
    CHECK_TOLD("crash@1!3 before_unload@1!3 after_unload@1!3 closed@0!3", p);
}

SCENARIO(events_of_user_failures) {
    Controlled p("general_a");
    p.run();
    p.told();
    p.on(CR_STEP, ACT_RETURN, -3);
    CHECK_EQ(-3, p.update());
    CHECK_TOLD("user@1!256", p);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("before_unload@1!256 after_unload@1!256 rollback@1!256 loaded@1", p);
    p.on(CR_UNLOAD, ACT_RETURN, -3);
    p.install("general_b");
    CHECK_EQ(-1, p.update());
    CHECK_TOLD("changed@2 user@1!256 before_unload@1!256 after_unload@1!256", p);
    p.close();
}

SCENARIO(events_of_a_refused_file_are_told_once) {
    Controlled p("general_a");
    p.run();
    p.told();
    install_bytes("this is no image", 16, p.path.c_str());
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("changed@2 rejected@2!8", p);
    CHECK_CONTAINS("not a shared library", p.last_text.c_str());
    p.run(5);
    CHECK_TOLD("", p);
    p.close();
}

SCENARIO(events_tell_of_an_image_that_stays_mapped) {
    Controlled p("sticky_thread_a");
    p.run();
    p.told();
    p.touch();
    p.run();
    CHECK_TOLD("changed@2 before_unload@1 mapped@1 after_unload@1 carried@2 loaded@2", p);
    p.close();
}

SCENARIO(events_a_deferred_change_is_asked_again) {
    Controlled p("general_a");
    p.run();
    p.told();
    p.install("general_b");
    p.to_change = CR_DEFER;
    p.run(3);
    CHECK_TOLD("changed@2 changed@2 changed@2", p);
    CHECK_EQ(1, p.ctx.version);
    p.to_change = CR_GO_ON;
    p.run();
    CHECK_EQ(2, p.ctx.version);
    p.close();
}

SCENARIO(events_a_skipped_file_is_never_loaded) {
    Controlled p("general_a");
    p.run();
    p.install("general_b");
    p.to_change = CR_SKIP;
    p.told();
    p.run(3);
    CHECK_TOLD("changed@2", p);
    CHECK_EQ(1, p.ctx.version);
    p.to_change = CR_GO_ON;
    p.run(3);
    CHECK_EQ(1, p.ctx.version);
    p.install("general_c");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 c.load@2 c.step@2", p);
    p.close();
}

SCENARIO(events_retry_after_a_crash_loads_the_file_again_with_the_backup) {
    Controlled p("general_a");
    p.run(3);
    p.run_next("general_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    p.to_crash = CR_RETRY;
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@3!1 b.step@3", p);
    CHECK_EQ(104, p.orders.state_counter);
    CHECK_EQ(CR_NONE, p.ctx.failure);
    p.close();
}

SCENARIO(events_retry_that_crashes_again_may_still_roll_back) {
    Controlled p("general_a");
    p.run();
    p.run_next("general_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    p.to_crash = CR_RETRY;
    CHECK_EQ(-1, p.update());
    CHECK_EQ(-1, p.update());
    CHECK_EQ(1, p.ctx.version);
    p.to_crash = CR_GO_ON;
    CHECK_EQ(-1, p.update()); // the retry that was asked for
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    p.close();
}

SCENARIO(events_stop_after_a_crash_waits_for_the_file_to_change) {
    Controlled p("general_a");
    p.run();
    p.run_next("general_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    p.to_crash = CR_STOP;
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK_EQ(CR_SEGFAULT, p.ctx.failure);
    }
    CHECK_TRACE("", p);
    p.install("general_c");
    CHECK_EQ(-2, p.update(false));
    CHECK_EQ(0, p.update());
    CHECK_TRACE("c.load@3!1 c.step@3", p);
    CHECK_EQ(CR_NONE, p.ctx.failure);
    p.close();
}

SCENARIO(events_recover_forward_loads_the_new_version_after_a_crash_in_unload) {
    cr_options options = CR_OPTIONS_INIT;
    options.flags = CR_RECOVER_FORWARD;
    Controlled p("general_a", options);
    p.run(2);
    p.run_next("general_b");
    p.install("general_c");
    p.on(CR_UNLOAD, ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_SEGFAULT, p.ctx.failure);
    p.on(CR_UNLOAD, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("c.load@3!1 c.step@3", p);
    CHECK_EQ(103, p.orders.state_counter); // the unload of version 1 was the last good one
    CHECK_EQ(CR_NONE, p.ctx.failure);
    p.close();
}

SCENARIO(events_the_function_may_close_the_plugin) {
    Controlled p("general_a");
    p.run();
    p.during = [](Controlled &self, const cr_event &event) {
        if (event.kind == CR_EVENT_CRASH) {
            cr_plugin_close(self.ctx);
            CHECK(self.ctx.p != nullptr); // not yet
        }
    };
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK(p.ctx.p == nullptr);
    CHECK_EQ(-2, p.update());
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(events_an_update_in_the_function_is_only_a_step) {
    Controlled p("general_a");
    p.run();
    p.during = [](Controlled &self, const cr_event &event) {
        if (event.kind == CR_EVENT_CHANGED) {
            CHECK_EQ(0, cr_plugin_update(self.ctx));
            cr_plugin_reload(self.ctx);
            CHECK(!cr_plugin_rollback(self.ctx));
            CHECK_EQ(1, self.ctx.version);
        }
    };
    p.install("general_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.step@1 a.unload@1 b.load@2 b.step@2", p);
    p.during = nullptr;
    p.close();
}

SCENARIO(events_of_options_of_an_older_and_a_newer_header) {
    struct Newer {
        cr_options known;
        char unknown[64];
    } newer;
    std::memset(&newer, 0x55, sizeof newer);
    newer.known = CR_OPTIONS_INIT;
    newer.known.size = sizeof newer;
    install("general_a", path_of("libguest.so"));
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open_with(ctx, path_of("libguest.so"), newer.known));
    CHECK_EQ(0, cr_plugin_update(ctx));
    cr_plugin_close(ctx);
    cr_options older;
    std::memset(static_cast<void *>(&older), 0x55, sizeof older);
    older.size = offsetof(cr_options, main_func);
    older.mode = CR_UNSAFE;
    CHECK(cr_plugin_open_with(ctx, path_of("libguest.so"), older));
    CHECK_EQ(0, cr_plugin_update(ctx));
    cr_plugin_close(ctx);
    older.size = offsetof(cr_options, mode);
    CHECK(!cr_plugin_open_with(ctx, path_of("libguest.so"), older));
    CHECK_CONTAINS("size", cr_plugin_error(ctx));
}
