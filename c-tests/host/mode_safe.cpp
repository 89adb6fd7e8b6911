// CONTRACT §2, CR_SAFE: the size of the state must be equal.
#define CR_HOST CR_SAFE
#include "fixture.h"

SCENARIO(s2_safe_mode_accepts_state_that_moved) {
    Plugin p("general_a");
    p.run(3);
    p.run_next("shifted_b");
    CHECK_EQ(2, p.ctx.version);
    CHECK_EQ(104, p.orders.state_counter);
    CHECK_EQ(4, p.orders.bss_counter);
    p.close();
}

SCENARIO(s2_safe_mode_accepts_another_variable) {
    Plugin p("general_a");
    p.run(3);
    p.run_next("larger_b");
    CHECK_EQ(104, p.orders.state_counter);
    p.run_next("general_c");
    CHECK_EQ(105, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_safe_mode_refuses_a_section_of_another_size_if_stripped) {
    Plugin p("narrow_stripped_a");
    p.run(3);
    p.install("larger_stripped_b");
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 1, CR_STATE_INVALIDATED, 3, 1);
    p.close();
}

SCENARIO(s2_safe_mode_refuses_state_of_another_size) {
    Plugin p("general_a");
    p.run(3);
    p.install("wider_b");
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.unload@1", p);
    CHECK_CONTEXT(p, 1, CR_STATE_INVALIDATED, 3, 1);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!7 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    CHECK_EQ(104, p.orders.state_counter);
    p.close();
}

SCENARIO(r15_user_failure_of_version_1_in_safe_mode_reloads_it) {
    Plugin p("general_a");
    p.run(3);
    p.on(CR_STEP, ACT_RETURN, -1);
    CHECK_EQ(-1, p.update());
    CHECK_CONTEXT(p, 1, CR_USER, 2, 0);
    p.on(CR_STEP, ACT_RETURN, 2);
    p.trace();
    CHECK_EQ(2, p.update());
    CHECK_TRACE("a.load@1!256 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    CHECK_EQ(101, p.orders.state_counter);
    p.close();
}

SCENARIO(r15_user_failure_in_load_of_version_1_in_safe_mode_reloads_it) {
    Plugin p("general_a");
    p.on(CR_LOAD, ACT_RETURN, -1);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 1, CR_USER, 2, 0);
    p.on(CR_LOAD, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!256 a.step@1", p);
    p.close();
}
