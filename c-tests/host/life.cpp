// CONTRACT §2: loading, stepping, reloading, closing.
#include "fixture.h"

#include <climits>

SCENARIO(s2_open_prepares_the_context_and_leaves_userdata_alone) {
    Plugin p("general_a");
    CHECK_CONTEXT(p, 0, CR_NONE, 1, 0);
    CHECK(p.ctx.p != nullptr);
    CHECK(p.ctx.userdata == &p.orders);
    CHECK_TRACE("", p);
    p.close();
}

SCENARIO(s2_first_update_loads_and_steps_version_1) {
    Plugin p("general_a");
    p.on(CR_STEP, ACT_RETURN, 7);
    CHECK_EQ(7, p.update());
    CHECK_TRACE("a.load@1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.close();
}

SCENARIO(s2_update_returns_what_the_step_returned) {
    Plugin p("general_a");
    for (int value : {0, 1, 12345, INT_MAX}) {
        p.on(CR_STEP, ACT_RETURN, value);
        CHECK_EQ(value, p.update());
    }
    p.close();
}

SCENARIO(s2_value_of_load_and_unload_is_not_returned) {
    Plugin p("general_a");
    p.on(CR_LOAD, ACT_RETURN, 11);
    p.on(CR_UNLOAD, ACT_RETURN, 22);
    CHECK_EQ(0, p.update());
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1 a.step@1 a.unload@1 a.load@2 a.step@2", p);
    p.close();
}

SCENARIO(s2_without_a_new_file_there_are_only_steps) {
    Plugin p("general_a");
    p.run();
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(0, p.update());
    }
    CHECK_TRACE("a.step@1 a.step@1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.close();
}

SCENARIO(s2_reload_is_unload_load_and_step_in_one_update) {
    Plugin p("general_a");
    p.run();
    p.install("general_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.install("general_c");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.unload@2 c.load@3 c.step@3", p);
    CHECK_CONTEXT(p, 3, CR_NONE, 4, 2);
    p.close();
}

SCENARIO(s2_touched_file_is_a_new_version) {
    Plugin p("general_a");
    p.run();
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 a.load@2 a.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.close();
}

SCENARIO(s2_old_image_is_unmapped_before_the_new_one_is_mapped) {
    Plugin p("lifetime_a");
    char script_address[32];
    std::snprintf(script_address, sizeof script_address, "%llx", (unsigned long long)(size_t)&p.orders);
    setenv(SCRIPT_ENVIRONMENT, script_address, 1);
    p.run();
    p.install("lifetime_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 a.destructor a.atexit b.constructor b.load@2 b.step@2", p);
    CHECK_EQ(0, count_mapped("libguest1.so"));
    p.close();
}

SCENARIO(s2_pointers_into_the_image_that_are_held_in_state_stay_right) {
    Plugin p("general_a");
    p.run();
    void *before = p.orders.address;
    p.install("general_b");
    CHECK_EQ(0, p.update());
    CHECK_EQ(1, p.orders.self_pointer);
    CHECK(p.orders.address == before);
    p.close();
}

SCENARIO(s2_close_calls_close_and_clears_the_context) {
    Plugin p("general_a");
    p.run();
    p.close();
    CHECK_TRACE("a.close@1", p);
    CHECK(p.ctx.p == nullptr);
    CHECK_EQ(0, p.ctx.version);
    CHECK_EQ(0, count_mapped("libguest"));
}

SCENARIO(s2_close_before_the_first_update_calls_nobody) {
    Plugin p("general_a");
    p.close();
    CHECK_TRACE("", p);
    CHECK(p.ctx.p == nullptr);
}

SCENARIO(s2_value_of_close_is_ignored) {
    Plugin p("general_a");
    p.run();
    p.on(CR_CLOSE, ACT_RETURN, -3);
    p.close();
    CHECK_TRACE("a.close@1", p);
    CHECK(p.ctx.p == nullptr);
    CHECK_EQ(0, p.ctx.version);
}

SCENARIO(s2_plugin_can_be_opened_again_after_close) {
    Plugin p("general_a");
    p.run();
    p.close();
    p.trace();
    p.open();
    CHECK_CONTEXT(p, 0, CR_NONE, 1, 0);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1 a.step@1", p);
    CHECK_EQ(101, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_constructors_destructors_and_atexit_run_at_each_load_and_unload) {
    Plugin p("lifetime_a");
    char script_address[32];
    std::snprintf(script_address, sizeof script_address, "%llx", (unsigned long long)(size_t)&p.orders);
    setenv(SCRIPT_ENVIRONMENT, script_address, 1);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.constructor a.load@1 a.step@1", p);
    p.install("lifetime_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 a.destructor a.atexit b.constructor b.load@2 b.step@2", p);
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_TRACE("b.step@2", p);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.destructor b.atexit a.constructor a.load@1!1 a.step@1", p);
    p.close();
    CHECK_TRACE("a.close@1 a.destructor a.atexit", p);
}

SCENARIO(s2_missing_file_at_open_is_false) {
    cr_plugin ctx;
    CHECK(!cr_plugin_open(ctx, path_of("libnothing.so")));
}

SCENARIO(s2_file_that_goes_missing_later_is_picked_up_when_it_is_back) {
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, remove(p.path.c_str()));
    CHECK_EQ(0, p.update());
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.step@1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.install("general_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
}

SCENARIO(s2_file_that_is_emptied_later_is_picked_up_when_it_is_full) {
    Plugin p("general_a");
    p.run();
    write_file(p.path.c_str(), "", 0);
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.step@1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.install("general_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
}

SCENARIO(s2_bad_image_at_a_reload_is_reported_and_the_old_version_goes_on) {
    Plugin p("general_a");
    p.run();
    install_bytes("this is not a shared library", 28, p.path.c_str());
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_BAD_IMAGE, p.ctx.failure);
    CHECK_EQ(1, p.ctx.version);
    p.on(CR_STEP, ACT_RETURN, 5);
    CHECK_EQ(5, p.update());
    CHECK_EQ(CR_NONE, p.ctx.failure);
    CHECK_EQ(1, p.ctx.version);
    p.close();
}

SCENARIO(s2_without_reload_check_a_new_file_is_not_looked_for) {
    Plugin p("general_a");
    p.run();
    p.install("general_b");
    CHECK_EQ(0, p.update(false));
    CHECK_TRACE("a.step@1", p);
    CHECK_EQ(0, p.update(true));
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
}

SCENARIO(s2_without_reload_check_a_pending_rollback_still_runs) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update(false));
    p.on(CR_STEP, ACT_RETURN, 3);
    p.trace();
    CHECK_EQ(3, p.update(false));
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    p.close();
}

SCENARIO(s2_copies_are_numbered_beside_the_original) {
    Plugin p("general_a");
    p.run();
    CHECK_TEXT("libguest.so libguest1.so", list("."));
    CHECK_EQ(file_size(guest_path("general_a")), file_size("libguest1.so"));
    p.run_next("general_b");
    CHECK_TEXT("libguest.so libguest1.so libguest2.so", list("."));
    CHECK_EQ(file_size(guest_path("general_b")), file_size("libguest2.so"));
    CHECK(same_file(guest_path("general_b"), p.path.c_str()));
    p.close();
}

SCENARIO(s2_copies_go_to_the_temporary_path) {
    Plugin p("general_a");
    std::string directory = path_of("elsewhere/");
    CHECK_EQ(0, std::system("mkdir elsewhere"));
    cr_set_temporary_path(p.ctx, directory);
    p.run();
    p.run_next("general_b");
    CHECK_TEXT("libguest1.so libguest2.so", list("elsewhere"));
    CHECK_TEXT("elsewhere libguest.so", list("."));
    p.close();
}

SCENARIO(s2_names_without_prefix_or_extension_are_numbered_too) {
    CHECK_EQ(0, std::system("mkdir dotted.directory"));
    Plugin p("general_a", "dotted.directory/plain");
    p.run();
    CHECK_TEXT("plain plain1", list("dotted.directory"));
    p.close();
    Plugin q("general_a", "some.name.plugin");
    q.run();
    CHECK(file_exists("some.name1.plugin"));
    q.close();
}

SCENARIO(s2_two_plugins_are_independent) {
    Plugin p("general_a", "libone.so");
    Plugin q("general_b", "libtwo.so");
    p.run();
    q.run();
    q.run_next("general_c");
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    CHECK_CONTEXT(q, 2, CR_NONE, 3, 1);
    q.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, q.update());
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    q.on(CR_STEP, ACT_RETURN);
    q.trace();
    CHECK_EQ(0, q.update());
    CHECK_TRACE("b.load@1!1 b.step@1", q);
    p.close();
    CHECK_EQ(0, q.update());
    q.close();
}
