// CONTRACT §2 once more, as a host sees it that listens: the events of each row of its table, in order.
#include "controlled.h"

namespace {

// Version 2 is loaded and nothing has been told yet.
struct Second : Controlled {
    explicit Second(const char *first = "general_a", const char *second = "general_b",
                    cr_options options = CR_OPTIONS_INIT)
        : Controlled(first, options) {
        run();
        run_next(second);
        told();
    }
};

// The guest's script is where constructors and destructors find it.
void show_script(script &orders) {
    char address[32];
    std::snprintf(address, sizeof address, "%llx", (unsigned long long)(size_t)&orders);
    setenv(SCRIPT_ENVIRONMENT, address, 1);
}

} // namespace

SCENARIO(flow_crash_in_step) {
    Second p;
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_TOLD("crash@2!1", p);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("before_unload@2!1 after_unload@2!1 rollback@1!1 carried@1!1 loaded@1", p);
    p.close();
    CHECK_TOLD("before_unload@1 after_unload@1 closed@1", p);
}

SCENARIO(flow_crash_in_each_operation_of_version_1) {
    for (cr_op operation : {CR_LOAD, CR_STEP, CR_UNLOAD}) {
        Controlled p("general_a");
        if (operation == CR_UNLOAD) {
            p.run();
            p.install("general_b");
        }
        p.told();
        p.on(operation, ACT_NULL_WRITE);
        CHECK_EQ(operation == CR_STEP ? -1 : -2, p.update());
        CHECK_TOLD(operation == CR_LOAD   ? "crash@1!1"
                   : operation == CR_STEP ? "loaded@1 crash@1!1"
                                          : "changed@2 crash@1!1 before_unload@1!1 after_unload@1!1",
                   p);
        p.on(operation, ACT_RETURN);
        CHECK_EQ(-2, p.update());
        CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
        CHECK_TOLD(operation == CR_UNLOAD ? "" : "before_unload@1!1 after_unload@1!1", p);
        CHECK_EQ(-2, p.update());
        CHECK_TOLD("", p);
        p.install("general_c");
        CHECK_EQ(0, p.update());
        CHECK_TOLD("changed@2!9 loaded@2", p);
        p.close();
    }
}

SCENARIO(flow_crash_in_load_and_in_the_rollback_after_it) {
    Second p;
    p.install("general_c");
    p.on(CR_LOAD, ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("changed@3 before_unload@2 after_unload@2 carried@3 crash@3!1", p);
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("before_unload@3!1 after_unload@3!1 rollback@2!1 carried@2!1 crash@2!1", p);
    p.on(CR_LOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("before_unload@2!1 after_unload@2!1 rollback@1!1 carried@1!1 loaded@1", p);
    p.close();
}

SCENARIO(flow_crash_in_unload) {
    Second p;
    p.install("general_c");
    p.on(CR_UNLOAD, ACT_ABORT);
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("changed@3 crash@2!3 before_unload@2!3 after_unload@2!3", p);
    p.on(CR_UNLOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("rollback@1!3 carried@1!3 loaded@1", p);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("", p); // the new file counts as seen
    p.close();
}

SCENARIO(flow_negative_from_each_operation) {
    Second p;
    p.on(CR_STEP, ACT_RETURN, -7);
    CHECK_EQ(-7, p.update());
    CHECK_TOLD("user@2!256", p);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("before_unload@2!256 after_unload@2!256 rollback@2!256 carried@2!256 loaded@2", p);
    p.install("general_c");
    p.on(CR_LOAD, ACT_RETURN, -7);
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("changed@3 before_unload@2 after_unload@2 carried@3 user@3!256", p);
    CHECK_EQ(-2, p.update());
    // It is the same failure still.
    CHECK_TOLD("before_unload@3!256 after_unload@3!256 rollback@3!256 carried@3!256", p);
    p.on(CR_LOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("before_unload@3!256 after_unload@3!256 rollback@3!256 carried@3!256 loaded@3", p);
    p.install("general_b");
    p.on(CR_UNLOAD, ACT_RETURN, -7);
    CHECK_EQ(-1, p.update());
    CHECK_TOLD("changed@4 user@3!256 before_unload@3!256 after_unload@3!256", p);
    p.on(CR_UNLOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("rollback@3!256 carried@3!256 loaded@3", p);
    p.on(CR_CLOSE, ACT_RETURN, -7);
    p.close();
    CHECK_TOLD("before_unload@3 after_unload@3 closed@3", p);
}

SCENARIO(flow_exception_out_of_the_guest_is_no_event) {
    Second p("general_cpp_a", "general_cpp_b");
    p.on(CR_STEP, ACT_THROW, 5);
    try {
        p.update();
        CHECK(false);
    } catch (int value) {
        CHECK_EQ(5, value);
    }
    CHECK_TOLD("", p);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("", p);
    p.close();
}

SCENARIO(flow_file_that_goes_missing_or_empty) {
    Second p;
    remove(p.path.c_str());
    p.run(2);
    CHECK_TOLD("", p);
    write_file(p.path.c_str(), "", 0);
    p.run(2);
    CHECK_TOLD("", p);
    p.run_next("general_c");
    CHECK_TOLD("changed@3 before_unload@2 after_unload@2 carried@3 loaded@3", p);
    p.close();
}

SCENARIO(flow_bad_image) {
    Second p;
    install_bytes("no image", 8, p.path.c_str());
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("changed@3 rejected@3!8", p);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("", p);
    // One that only the dynamic loader can refuse: the old version is gone by then.
    p.install("undefined_b");
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("changed@3 before_unload@2 after_unload@2 rejected@3!8", p);
    CHECK_CONTAINS("nowhere_to_be_found", p.last_text.c_str());
    CHECK_EQ(0, p.update());
    CHECK_TOLD("rollback@2!8 carried@2!8 loaded@2", p);
    p.close();
}

SCENARIO(flow_without_reload_check) {
    Second p;
    p.install("general_c");
    CHECK_EQ(0, p.update(false));
    CHECK_TOLD("", p);
    p.on(CR_STEP, ACT_ILLEGAL);
    CHECK_EQ(-1, p.update(false));
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update(false));
    CHECK_TOLD("crash@2!2 before_unload@2!2 after_unload@2!2 rollback@1!2 carried@1!2 loaded@1", p);
    p.close();
}

SCENARIO(flow_state_that_does_not_fit) {
    cr_options options = CR_OPTIONS_INIT;
    options.mode = CR_SAFE;
    Second p("narrow_stripped_a", "narrow_stripped_a", options);
    p.install("larger_stripped_b");
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_STATE_INVALIDATED, p.ctx.failure);
    CHECK_TOLD("changed@3 before_unload@2 after_unload@2 rejected@3!7", p);
    CHECK_CONTAINS("state does not fit", p.last_text.c_str());
    CHECK_EQ(0, p.update());
    CHECK_TOLD("rollback@2!7 carried@2!7 loaded@2", p);
    p.close();
}

SCENARIO(flow_crash_in_a_constructor) {
    Second p("lifetime_a", "lifetime_a");
    show_script(p.orders);
    p.install("lifetime_b");
    p.orders.constructor.action = ACT_NULL_WRITE;
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("changed@3 before_unload@2 after_unload@2 crash@3!1", p);
    CHECK_CONTAINS("a constructor of version 3", p.last_text.c_str());
    // And in the rollback.
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("rollback@2!1 crash@2!1", p);
    p.orders.constructor.action = ACT_RETURN;
    CHECK_EQ(0, p.update());
    CHECK_EQ(1, p.ctx.version);
    p.close();
}

SCENARIO(flow_crash_in_a_constructor_may_be_retried_or_stopped) {
    Second p("lifetime_a", "lifetime_a");
    show_script(p.orders);
    p.install("lifetime_b");
    p.orders.constructor.action = ACT_NULL_WRITE;
    p.to_crash = CR_RETRY;
    CHECK_EQ(-2, p.update());
    p.to_crash = CR_STOP;
    CHECK_EQ(-2, p.update()); // the retry
    CHECK_EQ(5, p.ctx.next_version);
    p.told();
    p.orders.constructor.action = ACT_RETURN;
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("", p);
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_EQ(5, p.ctx.version);
    p.close();
}

SCENARIO(flow_crash_in_a_destructor) {
    Second p("lifetime_a", "lifetime_a");
    show_script(p.orders);
    p.install("lifetime_b");
    p.orders.destructor.action = ACT_NULL_WRITE;
    CHECK_EQ(-2, p.update());
    CHECK_TOLD("changed@3 before_unload@2 after_unload@2 crash@2!1", p);
    CHECK_CONTAINS("a destructor of version 2", p.last_text.c_str());
    p.orders.destructor.action = ACT_RETURN;
    CHECK_EQ(0, p.update());
    p.close();
}

SCENARIO(flow_rollback_on_request) {
    Second p;
    CHECK(cr_plugin_rollback(p.ctx));
    CHECK_TOLD("before_unload@2 after_unload@2 rollback@1 carried@1 loaded@1", p);
    CHECK_EQ(0, p.update());
    CHECK_TOLD("", p);
    CHECK_EQ(1, p.ctx.version);
    p.close();
}

SCENARIO(flow_reload_asked_for_inside_the_guest) {
    struct Inner {
        static void reload(cr_plugin *ctx, void *) { cr_plugin_reload(*ctx); }
    };
    Second p;
    p.install("general_c");
    p.orders.call = Inner::reload;
    p.on(CR_STEP, ACT_CALL, 4);
    CHECK_EQ(4, p.update(false));
    CHECK_TOLD("changed@3 before_unload@2 after_unload@2 carried@3 loaded@3", p);
    CHECK_TRACE("b.step@2 b.unload@2 c.load@3", p);
    p.close();
}
