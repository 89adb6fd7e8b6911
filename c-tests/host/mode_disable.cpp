// CONTRACT §2, CR_DISABLE: nothing is carried over, so nothing can be invalid.
#define CR_HOST CR_DISABLE
#include "fixture.h"

SCENARIO(s2_disable_mode_carries_nothing) {
    Plugin p("general_a");
    p.run(3);
    p.run_next("general_b");
    CHECK_EQ(2, p.ctx.version);
    CHECK_EQ(101, p.orders.state_counter);
    CHECK_EQ(1, p.orders.bss_counter);
    CHECK_EQ(101, p.orders.data_counter);
    p.close();
}

SCENARIO(s2_disable_mode_accepts_any_layout) {
    Plugin p("larger_b");
    p.run(3);
    p.run_next("general_a");
    p.run_next("shifted_b");
    CHECK_EQ(3, p.ctx.version);
    CHECK_EQ(101, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_disable_mode_rolls_back_to_first_values) {
    Plugin p("general_a");
    p.run(3);
    p.run_next("general_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    CHECK_EQ(101, p.orders.state_counter);
    CHECK_EQ(1, p.orders.bss_counter);
    p.close();
}
