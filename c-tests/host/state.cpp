// CONTRACT §2: what state is carried over; the default mode, CR_UNSAFE. The other modes are in mode_*.cpp.
#include "fixture.h"

SCENARIO(s2_state_and_bss_are_carried_over_and_data_is_not) {
    Plugin p("general_a");
    p.run(3);
    CHECK_EQ(103, p.orders.state_counter);
    CHECK_EQ(3, p.orders.bss_counter);
    CHECK_EQ(103, p.orders.data_counter);
    p.run_next("general_b");
    CHECK_EQ(104, p.orders.state_counter);
    CHECK_EQ(4, p.orders.bss_counter);
    CHECK_EQ(101, p.orders.data_counter);
    p.run_next("general_c");
    CHECK_EQ(105, p.orders.state_counter);
    CHECK_EQ(5, p.orders.bss_counter);
    CHECK_EQ(101, p.orders.data_counter);
    p.close();
}

SCENARIO(s2_state_is_saved_after_unload_was_called) {
    // What the guest does to its state in CR_UNLOAD arrives: here, through the host, in the middle of the call.
    struct Late {
        static void step(cr_plugin *ctx, void *) { CHECK_EQ(0, cr_plugin_update(*ctx, false)); }
    };
    Plugin p("general_a");
    p.run();
    p.orders.call = Late::step;
    p.on(CR_UNLOAD, ACT_CALL);
    p.install("general_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 a.step@1 b.load@2 b.step@2", p);
    CHECK_EQ(103, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_unsafe_mode_accepts_state_that_moved) {
    Plugin p("general_a");
    p.run(3);
    p.install("shifted_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK_EQ(104, p.orders.state_counter);
    CHECK_EQ(4, p.orders.bss_counter);
    p.close();
}

SCENARIO(s2_unsafe_mode_accepts_state_that_grew) {
    Plugin p("general_a");
    p.run(3);
    p.install("larger_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.close();
}

SCENARIO(s2_unsafe_mode_accepts_a_variable_of_another_size) {
    Plugin p("general_a");
    p.run(3);
    p.run_next("wider_b");
    CHECK_EQ(104, p.orders.state_counter);
    p.run_next("general_c");
    CHECK_EQ(105, p.orders.state_counter);
    CHECK_CONTEXT(p, 3, CR_NONE, 4, 2);
    p.close();
}

SCENARIO(s2_unsafe_mode_accepts_state_without_a_variable) {
    Plugin p("larger_b");
    p.run(3);
    p.run_next("general_a");
    CHECK_EQ(104, p.orders.state_counter);
    CHECK_EQ(4, p.orders.bss_counter);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.close();
}

SCENARIO(s2_unsafe_mode_refuses_a_section_that_does_not_fit_if_stripped) {
    Plugin p("larger_stripped_b");
    p.run(3);
    int state = p.orders.state_counter;
    p.install("narrow_stripped_a");
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("b.unload@1", p);
    CHECK_CONTEXT(p, 1, CR_STATE_INVALIDATED, 3, 1);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@1!7 b.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    CHECK_EQ(state + 1, p.orders.state_counter);
    p.run(2);
    CHECK_EQ(1, p.ctx.version);
    p.close();
}
