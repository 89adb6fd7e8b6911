// CONTRACT §2: failures in each operation, and what the next updates do.
#include "fixture.h"

namespace {

// Versions 1 (a) and 2 (b) have run; version 2 is running.
struct Second : Plugin {
    Second() : Plugin("general_a") {
        run();
        run_next("general_b");
        CHECK_CONTEXT(*this, 2, CR_NONE, 3, 1);
    }
};

} // namespace

SCENARIO(s2_crash_in_step_of_version_2_rolls_back_with_last_unloaded_state) {
    Second p;
    p.run(3); // state goes on: it is lost with the version
    int unloaded_state = 101;
    CHECK_EQ(unloaded_state + 4, p.orders.state_counter);
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_TRACE("b.step@2", p);
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 3, 1);

    p.on(CR_STEP, ACT_RETURN, 9);
    CHECK_EQ(9, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    CHECK_EQ(unloaded_state + 1, p.orders.state_counter);
    CHECK_EQ(2, p.orders.bss_counter);
    CHECK_EQ(101, p.orders.data_counter);
    p.close();
}

SCENARIO(s2_version_numbers_are_never_reused) {
    Second p;
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.run();
    p.install("general_c");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 c.load@3 c.step@3", p);
    CHECK_CONTEXT(p, 3, CR_NONE, 4, 1);
    p.close();
}

SCENARIO(s2_after_a_rollback_the_crashed_file_is_not_loaded_again) {
    Second p;
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.run();
    p.run(3);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.step@1", p);
    p.close();
}

SCENARIO(s2_crash_after_crash_goes_back_version_by_version) {
    Second p;
    p.run_next("general_c");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_CONTEXT(p, 2, CR_SEGFAULT, 4, 2);
    CHECK_EQ(-1, p.update());
    CHECK_TRACE("c.step@3 b.load@2!1 b.step@2", p);
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 4, 1);
    CHECK_EQ(-1, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    CHECK_CONTEXT(p, 0, CR_SEGFAULT, 4, 0);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("", p);
    CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
    p.close();
}

SCENARIO(s2_each_rollback_restores_the_last_good_unload) {
    Second p;
    p.run(2);
    p.run_next("general_c"); // the last good unload: that of version 2, with 104
    CHECK_EQ(105, p.orders.state_counter);
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.run(2);
    CHECK_EQ(106, p.orders.state_counter);
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_EQ(1, p.ctx.version);
    CHECK_EQ(105, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_crash_in_step_of_version_1_is_an_initial_failure) {
    Plugin p("general_a");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_TRACE("a.load@1 a.step@1", p);
    CHECK_CONTEXT(p, 0, CR_SEGFAULT, 2, 0);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
    CHECK_EQ(0, p.ctx.version);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
    CHECK_TRACE("", p);
    p.close();
}

SCENARIO(s2_crash_in_load_rolls_back_with_the_next_update) {
    Plugin p("general_a");
    p.run(4);
    p.install("general_b");
    p.on(CR_LOAD, ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.unload@1 b.load@2", p);
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 3, 1);
    p.on(CR_LOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    CHECK_EQ(105, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_crash_in_load_of_version_1_is_an_initial_failure) {
    Plugin p("general_a");
    p.on(CR_LOAD, ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.load@1", p);
    CHECK_CONTEXT(p, 0, CR_SEGFAULT, 2, 0);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("", p);
    CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
    p.close();
}

SCENARIO(s2_crash_in_load_during_a_rollback_goes_back_further) {
    Second p;
    p.run_next("general_c");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_LOAD, ACT_ABORT);
    p.trace();
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("b.load@2!1", p);
    CHECK_CONTEXT(p, 1, CR_ABORT, 4, 1);
    p.on(CR_LOAD, ACT_RETURN);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!3 a.step@1", p);
    p.close();
}

SCENARIO(s2_crash_in_unload_goes_back_to_the_version_before) {
    Second p;
    p.run(3);
    p.install("general_c");
    p.on(CR_UNLOAD, ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("b.unload@2", p);
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 3, 1);
    p.on(CR_UNLOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    CHECK_EQ(102, p.orders.state_counter);
    p.run(2); // the new file counts as seen
    CHECK_EQ(1, p.ctx.version);
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 c.load@3 c.step@3", p);
    p.close();
}

SCENARIO(s2_crash_in_unload_of_version_1_is_an_initial_failure) {
    Plugin p("general_a");
    p.run();
    p.install("general_b");
    p.on(CR_UNLOAD, ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.unload@1", p);
    CHECK_CONTEXT(p, 0, CR_SEGFAULT, 2, 0);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
    CHECK_TRACE("", p);
    p.close();
}

SCENARIO(s2_crash_in_close_returns_normally) {
    Second p;
    p.on(CR_CLOSE, ACT_NULL_WRITE);
    p.close();
    CHECK_TRACE("b.close@2", p);
    CHECK(p.ctx.p == nullptr);
    CHECK_EQ(0, p.ctx.version);
    CHECK_EQ(0, count_mapped("libguest"));
}

SCENARIO(s2_negative_from_step_reloads_the_same_version) {
    Second p;
    p.run(3);
    p.on(CR_STEP, ACT_RETURN, -5);
    CHECK_EQ(-5, p.update());
    CHECK_TRACE("b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_USER, 3, 1);
    p.on(CR_STEP, ACT_RETURN, 4);
    CHECK_EQ(4, p.update());
    CHECK_TRACE("b.load@2!256 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    CHECK_EQ(102, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_negative_from_step_of_version_1_reloads_it) {
    Plugin p("general_a");
    p.run(3);
    p.on(CR_STEP, ACT_RETURN, -1);
    CHECK_EQ(-1, p.update());
    CHECK_CONTEXT(p, 1, CR_USER, 2, 0);
    p.trace();
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!256 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    CHECK_EQ(101, p.orders.state_counter); // it has never been unloaded: its first values
    p.close();
}

SCENARIO(s2_negative_from_load_reloads_the_same_version_until_it_is_not) {
    Plugin p("general_a");
    p.run(3);
    p.install("general_b");
    p.on(CR_LOAD, ACT_RETURN, -7);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.unload@1 b.load@2", p);
    CHECK_CONTEXT(p, 2, CR_USER, 3, 1);
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK_TRACE("b.load@2!256", p);
        CHECK_CONTEXT(p, 2, CR_USER, 3, 1);
    }
    p.on(CR_LOAD, ACT_RETURN, 0);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@2!256 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    CHECK_EQ(104, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_negative_from_load_of_version_1_reloads_it) {
    Plugin p("general_a");
    p.on(CR_LOAD, ACT_RETURN, -7);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.load@1", p);
    CHECK_CONTEXT(p, 1, CR_USER, 2, 0);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.load@1!256", p);
    p.on(CR_LOAD, ACT_RETURN, 0);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!256 a.step@1", p);
    p.close();
}

SCENARIO(s2_negative_from_unload_reloads_the_same_version) {
    Second p;
    p.run(3);
    p.install("general_c");
    p.on(CR_UNLOAD, ACT_RETURN, -9);
    CHECK_EQ(-1, p.update());
    CHECK_TRACE("b.unload@2", p);
    CHECK_CONTEXT(p, 2, CR_USER, 3, 1);
    p.on(CR_UNLOAD, ACT_RETURN, 0);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@2!256 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    CHECK_EQ(102, p.orders.state_counter); // not saved: that of the unload before
    p.run(2);                              // the new file counts as seen
    CHECK_EQ(2, p.ctx.version);
    p.close();
}

SCENARIO(s2_crash_after_a_user_failure_rolls_back_to_the_version_before) {
    Second p;
    p.on(CR_STEP, ACT_RETURN, -5);
    CHECK_EQ(-5, p.update());
    p.on(CR_STEP, ACT_NULL_WRITE);
    p.trace();
    CHECK_EQ(-1, p.update());
    CHECK_TRACE("b.load@2!256 b.step@2", p);
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 3, 1);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    p.close();
}

SCENARIO(s1_host_that_writes_failure_asks_for_a_reload_of_the_version) {
    Second p;
    p.ctx.failure = CR_USER;
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@2!256 b.step@2", p);
    p.ctx.version = p.ctx.last_working_version;
    p.ctx.failure = CR_OTHER;
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!10 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    p.close();
}
