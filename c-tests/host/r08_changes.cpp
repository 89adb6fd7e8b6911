// CONTRACT §3 rows 8 and 9: what counts as a change of the file, and when it is noticed.
#include "fixture.h"

#include <fcntl.h> // AT_FDCWD

namespace {

void is_loaded(Plugin &p, unsigned version) {
    CHECK_EQ(0, p.update());
    CHECK_EQ(version, p.ctx.version);
    p.run(3);
    CHECK_EQ(version, p.ctx.version);
}

} // namespace

SCENARIO(r08_time_that_goes_backwards_is_a_change) {
    Plugin p("general_a");
    p.run();
    set_time(p.path.c_str(), -5000, 0);
    is_loaded(p, 2);
    set_time(p.path.c_str(), -9000, 0);
    is_loaded(p, 3);
    p.close();
}

SCENARIO(r08_nanoseconds_are_a_change) {
    Plugin p("general_a");
    set_time(p.path.c_str(), 7, 5 * TIME_STEP);
    p.run();
    set_time(p.path.c_str(), 7, 6 * TIME_STEP);
    is_loaded(p, 2);
    set_time(p.path.c_str(), 7, 4 * TIME_STEP);
    is_loaded(p, 3);
    p.close();
}

SCENARIO(r08_another_file_with_the_same_time_and_size_is_a_change) {
    Plugin p("general_a");
    set_time(p.path.c_str(), 7, 0);
    p.run();
    p.install("general_b");
    CHECK_EQ(file_size(guest_path("general_a")), file_size(p.path.c_str()));
    set_time(p.path.c_str(), 7, 0);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
}

SCENARIO(r08_another_size_with_the_same_time_and_inode_is_a_change) {
    Plugin p("general_a");
    set_time(p.path.c_str(), 7, 0);
    p.run();
    size_t size = 0;
    char *bytes = read_file(guest_path("large_b"), &size);
    write_file(p.path.c_str(), bytes, size); // in place
    set_time(p.path.c_str(), 7, 0);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
}

#ifndef _WIN32
SCENARIO(r08_symbolic_link_that_points_elsewhere_is_a_change) {
    install("general_a", path_of("one.so"));
    install("general_b", path_of("two.so"));
    CHECK_EQ(0, symlink("one.so", "link.so"));
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("link.so")));
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(0, symlink("two.so", "other.so"));
    CHECK_EQ(0, rename("other.so", "link.so"));
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(2, ctx.version);
    CHECK_EQ('b', orders.events[orders.count - 1].marker);
    CHECK_TEXT("link.so link1.so link2.so one.so two.so", list("."));
    cr_plugin_close(ctx);
    CHECK_TEXT("link.so one.so two.so", list("."));
}

SCENARIO(r08_mode_owner_and_access_time_are_no_change) {
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, chmod(p.path.c_str(), 0700));
    timespec times[2] = {{1000, 0}, {0, UTIME_OMIT}};
    CHECK_EQ(0, utimensat(AT_FDCWD, p.path.c_str(), times, 0));
    CHECK_EQ(0, link(p.path.c_str(), path_of("another-name")));
    p.run(3);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.close();
}
#endif

SCENARIO(r08_file_that_was_refused_is_tried_again_when_only_its_time_changes) {
    Plugin p("general_a");
    p.run();
    install_bytes("garbage", 7, p.path.c_str());
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK_EQ(0, p.update());
        p.run(3);
        set_time(p.path.c_str(), -i - 1, 0);
    }
    p.close();
}

SCENARIO(r09_file_that_arrives_between_a_crash_and_its_rollback_is_loaded_afterwards) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.install("general_c");
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 c.load@3 c.step@3", p);
    CHECK_CONTEXT(p, 3, CR_NONE, 4, 1);
    p.close();
}

SCENARIO(r09_file_that_arrives_between_a_user_failure_and_its_reload_is_loaded_afterwards) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.on(CR_STEP, ACT_RETURN, -4);
    CHECK_EQ(-4, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.install("general_c");
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@2!256 b.step@2", p);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.unload@2 c.load@3 c.step@3", p);
    p.close();
}
