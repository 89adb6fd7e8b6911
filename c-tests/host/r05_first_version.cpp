// CONTRACT §3 rows 5, 14 and 15: a first version that fails is not for ever.
#include "fixture.h"

SCENARIO(r05_crash_of_version_1_waits_for_the_file_to_change) {
    Plugin p("general_a");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.trace();
    for (int i = 0; i < 5; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK_CONTEXT(p, 0, CR_INITIAL_FAILURE, 2, 0);
    }
    CHECK_EQ(-2, p.update(false));
    CHECK_TRACE("", p);
    p.install("general_b");
    p.on(CR_STEP, ACT_RETURN, 5);
    CHECK_EQ(5, p.update());
    CHECK_TRACE("b.load@2!9 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 0);
    CHECK_EQ(101, p.orders.state_counter);
    p.run_next("general_c");
    CHECK_CONTEXT(p, 3, CR_NONE, 4, 2);
    p.close();
}

SCENARIO(r05_crash_in_load_of_version_1_waits_for_the_file_to_change) {
    Plugin p("general_a");
    p.on(CR_LOAD, ACT_ABORT);
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 0, CR_ABORT, 2, 0);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 0, CR_INITIAL_FAILURE, 2, 0);
    p.trace();
    p.install("general_b");
    p.on(CR_LOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@2!9 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 0);
    p.close();
}

SCENARIO(r05_new_file_may_come_right_after_the_crash) {
    Plugin p("general_a");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.install("general_b");
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@2!9 b.step@2", p);
    p.close();
}

SCENARIO(r05_crash_after_crash_of_first_versions) {
    Plugin p("general_a");
    for (unsigned version = 1; version <= 5; ++version) {
        p.on(CR_STEP, ACT_NULL_WRITE);
        CHECK_EQ(-1, p.update());
        CHECK_CONTEXT(p, 0, CR_SEGFAULT, version + 1, 0);
        CHECK_EQ(-2, p.update());
        CHECK_CONTEXT(p, 0, CR_INITIAL_FAILURE, version + 1, 0);
        p.touch();
    }
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_CONTEXT(p, 6, CR_NONE, 7, 0);
    p.close();
}

SCENARIO(r05_crash_in_unload_of_version_1_waits_for_the_file_to_change) {
    Plugin p("general_a");
    p.run();
    p.install("general_b");
    p.on(CR_UNLOAD, ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 0, CR_SEGFAULT, 2, 0);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 0, CR_INITIAL_FAILURE, 2, 0);
    p.trace();
    p.install("general_c");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("c.load@2!9 c.step@2", p);
    p.close();
}

SCENARIO(r05_close_after_an_initial_failure_calls_nobody) {
    Plugin p("general_a");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_EQ(-2, p.update());
    p.trace();
    p.close();
    CHECK_TRACE("", p);
    CHECK(p.ctx.p == nullptr);
    CHECK_EQ(0, count_mapped("libguest"));
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(r05_bad_first_file_waits_for_the_file_to_change) {
    install_bytes("garbage", 7, path_of("libguest.so"));
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
    CHECK_EQ(-2, cr_plugin_update(ctx));
    CHECK_EQ(CR_BAD_IMAGE, ctx.failure);
    CHECK_EQ(0, ctx.version);
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, cr_plugin_update(ctx));
        CHECK_EQ(CR_INITIAL_FAILURE, ctx.failure);
    }
    install("general_a", path_of("libguest.so"));
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(1, ctx.version);
    CHECK_EQ(2, ctx.next_version);
    CHECK_EQ(0, ctx.last_working_version);
    CHECK_EQ(CR_NONE, ctx.failure);
    CHECK_EQ(2, orders.count);
    cr_plugin_close(ctx);
}

SCENARIO(r14_first_update_without_reload_check_loads) {
    Plugin p("general_a");
    CHECK_EQ(0, p.update(false));
    CHECK_TRACE("a.load@1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.close();
}

SCENARIO(r14_first_update_without_reload_check_waits_for_a_file_that_went_missing) {
    Plugin p("general_a");
    CHECK_EQ(0, remove(p.path.c_str()));
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update(false));
        CHECK(p.ctx.failure != CR_NONE);
        CHECK_EQ(0, p.ctx.version);
    }
    p.install("general_b");
    CHECK_EQ(0, p.update(true));
    CHECK_TRACE("b.load@1 b.step@1", p);
    p.close();
}
