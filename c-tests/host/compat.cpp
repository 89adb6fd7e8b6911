// CONTRACT §1: internals that real hosts touch.
#include "fixture.h"

namespace {

cr_internal *inside(Plugin &p) { return static_cast<cr_internal *>(p.ctx.p); }

std::string as_string(const std::string &text) { return text; }

} // namespace

SCENARIO(s1_internals_fullname_temppath_and_handle) {
    Plugin p("general_a");
    CHECK_TEXT(p.path.c_str(), inside(p)->fullname.c_str());
    CHECK_TEXT(p.path.c_str(), as_string(inside(p)->fullname).c_str());
    CHECK_TEXT("", as_string(inside(p)->temppath).c_str());
    CHECK(inside(p)->handle == nullptr);
    p.run();
    CHECK(inside(p)->handle != nullptr);
    cr_set_temporary_path(p.ctx, path_of("") /* with a separator */);
    CHECK_TEXT(path_of(""), inside(p)->temppath.c_str());
    const auto name = inside(p)->fullname; // outlives the plugin as the string it is used as
    p.close();
    CHECK_TEXT(p.path.c_str(), name.c_str());
}

SCENARIO(s1_internals_handle_gives_symbols_of_the_running_version) {
    Plugin p("general_a");
    p.run();
    so_handle handle = inside(p)->handle;
    cr_plugin_main_func entry = cr_so_symbol(handle);
    CHECK(reinterpret_cast<void *>(entry) == p.orders.address);
    CHECK_EQ(0, entry(&p.ctx, CR_STEP));
    CHECK_TRACE("a.step@1", p);
    p.run_next("general_b");
    CHECK(reinterpret_cast<void *>(cr_so_symbol(inside(p)->handle)) == p.orders.address);
    p.close();
}

SCENARIO(s1_internals_so_load) {
    install("general_c", path_of("libother.so"));
    so_handle handle = cr_so_load(path_of("libother.so"));
    CHECK(handle != nullptr);
    CHECK(cr_so_symbol(handle) != nullptr);
    CHECK(cr_so_load(path_of("libmissing.so")) == nullptr);
}

SCENARIO(s1_internals_version_path_exists_and_del) {
#define FOLDER(name) SEPARATOR name SEPARATOR
    CHECK_TEXT(FOLDER("x") "libname7.so", cr_version_path("/x/libname.so", 7, "").c_str());
    CHECK_TEXT(FOLDER("tmp") "libname12.so", cr_version_path("/x/libname.so", 12, "/tmp/").c_str());
    CHECK_TEXT(FOLDER("x.y") "name0", cr_version_path("/x.y/name", 0, "").c_str());
    CHECK_TEXT("name3.a", cr_version_path("name.a", 3, "").c_str());
    CHECK_TEXT(FOLDER("x") "some.name3.a", cr_version_path("/x/some.name.a", 3, "").c_str());
    write_file("here", "", 0);
    CHECK(cr_exists("here"));
    CHECK(cr_exists(std::string(path_of("here"))));
    cr_del("here");
    CHECK(!cr_exists("here"));
    cr_del("here");
}

SCENARIO(s1_internals_plat_init_changes_nothing_between_updates) {
    cr_plat_init();
    Plugin p("general_a");
    cr_plat_init();
    p.run();
    p.run_next("general_b");
    cr_plat_init();
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_EQ(CR_SEGFAULT, p.ctx.failure);
    p.close();
}

SCENARIO(s1_internals_changed_and_reload) {
    Plugin p("general_a");
    CHECK(cr_plugin_changed(p.ctx));
    p.run();
    CHECK(!cr_plugin_changed(p.ctx));
    cr_plugin_reload(p.ctx);
    CHECK_TRACE("", p);
    p.install("general_b");
    CHECK(cr_plugin_changed(p.ctx));
    cr_plugin_reload(p.ctx);
    CHECK_TRACE("a.unload@1 b.load@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    CHECK(!cr_plugin_changed(p.ctx));
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.step@2", p);
    CHECK_EQ(102, p.orders.state_counter);
    CHECK_EQ(0, remove(p.path.c_str()));
    CHECK(!cr_plugin_changed(p.ctx));
    write_file(p.path.c_str(), "", 0);
    touch(p.path.c_str());
    CHECK(!cr_plugin_changed(p.ctx));
    p.close();
}

SCENARIO(s1_internals_rollback_goes_back_to_the_last_working_version) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    CHECK(cr_plugin_rollback(p.ctx));
    CHECK_TRACE("a.load@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    CHECK_EQ(0, p.update());
    CHECK_EQ(102, p.orders.state_counter);
    // There is none before it: the same again.
    CHECK(cr_plugin_rollback(p.ctx));
    CHECK_TRACE("a.step@1 a.load@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    // Hosts of the original set the version themselves.
    p.run_next("general_b");
    p.ctx.version = p.ctx.last_working_version;
    CHECK(cr_plugin_rollback(p.ctx));
    CHECK_TRACE("a.load@1", p);
    // After a failure it is set already.
    p.run_next("general_c");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK(cr_plugin_rollback(p.ctx));
    CHECK_TRACE("c.step@4 a.load@1!1", p);
    p.on(CR_STEP, ACT_RETURN, -1);
    CHECK_EQ(-1, p.update());
    CHECK(cr_plugin_rollback(p.ctx)); // the guest's own failure is none of the version's
    CHECK_TRACE("a.step@1 a.load@1!256", p);
    p.on(CR_STEP, ACT_RETURN);
    p.on(CR_LOAD, ACT_NULL_WRITE);
    CHECK(!cr_plugin_rollback(p.ctx));
    p.close();
}

SCENARIO(s1_internals_unload) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.on(CR_UNLOAD, ACT_RETURN, 33);
    CHECK_EQ(33, cr_plugin_unload(p.ctx, false, false));
    CHECK_TRACE("b.unload@2", p);
    CHECK_EQ(0, count_mapped("libguest"));
    CHECK(inside(p)->handle == nullptr);
    CHECK_EQ(0, cr_plugin_unload(p.ctx, false, false));
    p.install("general_c");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("c.load@3 c.step@3", p);
    CHECK_EQ(103, p.orders.state_counter);
    CHECK_EQ(0, cr_plugin_unload(p.ctx, true, false));
    CHECK_TRACE("", p);
    CHECK_EQ(0, count_mapped("libguest"));
    p.close();
    CHECK_TRACE("", p);
}

SCENARIO(s1_copies_deleted_behind_the_back_are_no_harm_to_what_runs) {
    // As hosts do that clean up for the library before they close.
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.run_next("general_c");
    for (unsigned i = 0; i < p.ctx.next_version; ++i) {
        cr_del(cr_version_path(inside(p)->fullname, i, inside(p)->temppath));
    }
    CHECK_EQ(0, p.update());
    CHECK_TRACE("c.step@3", p);
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("c.unload@3 c.load@4 c.step@4", p);
    p.close();
    CHECK_TRACE("c.close@4", p);
}
