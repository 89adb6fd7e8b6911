// CONTRACT §2, CR_SAFEST: address and size of the state must be equal.
#define CR_HOST CR_SAFEST
#include "fixture.h"

namespace {

void refuses(const char *guest) {
    Plugin p("general_a");
    p.run(3);
    p.install(guest);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.unload@1", p);
    CHECK_CONTEXT(p, 1, CR_STATE_INVALIDATED, 3, 1);
    p.on(CR_STEP, ACT_RETURN, 1);
    CHECK_EQ(1, p.update());
    CHECK_TRACE("a.load@1!7 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    CHECK_EQ(104, p.orders.state_counter);
    p.run(2); // the file that was refused counts as seen
    CHECK_EQ(1, p.ctx.version);
    p.install("general_c");
    CHECK_EQ(1, p.update());
    CHECK_TRACE("a.unload@1 c.load@3 c.step@3", p);
    CHECK_EQ(107, p.orders.state_counter);
    p.close();
}

} // namespace

SCENARIO(s2_safest_mode_accepts_the_same_layout) {
    Plugin p("general_a");
    p.run(3);
    p.run_next("general_b");
    CHECK_EQ(2, p.ctx.version);
    CHECK_EQ(104, p.orders.state_counter);
    CHECK_EQ(4, p.orders.bss_counter);
    p.close();
}

SCENARIO(s2_safest_mode_refuses_state_that_moved) { refuses("shifted_b"); }

SCENARIO(s2_safest_mode_refuses_state_of_another_size) { refuses("wider_b"); }

SCENARIO(s2_safest_mode_refuses_state_without_a_variable) {
    Plugin p("larger_b");
    p.run(3);
    p.install("general_a");
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 1, CR_STATE_INVALIDATED, 3, 1);
    p.close();
}

SCENARIO(r15_user_failure_of_version_1_in_safest_mode_reloads_it) {
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

SCENARIO(r15_user_failure_in_load_of_version_1_in_safest_mode_reloads_it) {
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
