// Bad input: paths that are strange, too long, or lead to something that is no file.
#include "crash.h"
#include "fixture.h"

#include <climits>
#include <string>

namespace {

void lives(const char *file) {
    Plugin p("general_a", file);
    p.run();
    p.run_next("general_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    p.close();
}

// Something else than a file has come to the plugin's path: the version goes on, and a file is found again.
void survives_in_its_place(Plugin &p) {
    int steps = 0;
    p.on(CR_STEP, ACT_RETURN, 5);
    for (int i = 0; i < 6; ++i) {
        int result = p.update();
        CHECK(result == 5 || result == -2);
        steps += result == 5;
        CHECK_EQ(1, p.ctx.version);
        CHECK_EQ(2, p.ctx.next_version);
    }
    CHECK(steps >= 3);
    CHECK(p.trace().find("load") == std::string::npos); // nor unload
}

void then_loads(Plugin &p) {
    p.on(CR_STEP, ACT_RETURN, 0);
    p.install("general_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
}

#ifndef _WIN32
// From here on without root's rights; nothing to do for a user who has none.
void become_nobody() {
    if (geteuid() == 0) {
        CHECK_EQ(0, chown(".", 65534, 65534));
        CHECK_EQ(0, setgid(65534));
        CHECK_EQ(0, setuid(65534));
    }
}
#endif

} // namespace

SCENARIO(paths_that_are_not_utf8) {
    lives("lib\xff\xfe\x80 name.so");
    CHECK_EQ(0, mkdir("\xc3\x28", 0755));
    lives("\xc3\x28/libguest.so");
}

SCENARIO(paths_with_spaces_and_other_characters) {
    lives("lib guest (1) %s %n $HOME 'x' ;.so");
#ifndef _WIN32 // no names there
    lives("lib \"y\" \\.so");
    lives("lib\nguest.so");
#endif
    lives(".so");
    lives("..so");
}

#ifndef _WIN32
SCENARIO(paths_of_4000_bytes) {
    // Nested, for a name has at most 255 bytes. The copies' names are a little longer.
    while (std::strlen(path_of("")) < 3800) {
        std::string part(150, 'd');
        CHECK_EQ(0, mkdir(part.c_str(), 0755));
        CHECK_EQ(0, chdir(part.c_str()));
    }
    std::string file(4000 - std::strlen(path_of("")) - 3, 'f');
    file += ".so";
    CHECK_EQ(4000, std::strlen(path_of(file.c_str())));
    lives(file.c_str());
    CHECK_TEXT(file.c_str(), list("."));
}
#endif

SCENARIO(paths_that_are_too_long) {
    cr_plugin ctx;
    for (size_t length : {4096u, 5000u, 100000u}) {
        std::string path = "/" + std::string(length, 'x');
        CHECK(!cr_plugin_open(ctx, path.c_str()));
        CHECK(ctx.p == nullptr);
        CHECK(*cr_plugin_error(ctx));
    }
}

SCENARIO(paths_whose_copies_have_names_that_are_too_long) {
    std::string file = std::string(252, 'x') + ".so"; // 255 bytes: there is no room for the number
    Plugin p("general_a", file.c_str());
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK_EQ(0, p.ctx.version);
        CHECK(*cr_plugin_error(p.ctx));
    }
    p.close();
    CHECK_TEXT(file.c_str(), list("."));
}

SCENARIO(paths_that_are_empty) {
    cr_plugin ctx;
    CHECK(!cr_plugin_open(ctx, ""));
    CHECK(*cr_plugin_error(ctx));
}

SCENARIO(paths_of_directories_cannot_be_opened) {
    cr_plugin ctx;
    for (const char *path : {".", "/", "..", "./"}) {
        CHECK(!cr_plugin_open(ctx, path));
        CHECK(ctx.p == nullptr);
        CHECK(*cr_plugin_error(ctx));
    }
}

#ifndef _WIN32
SCENARIO(paths_of_fifos_and_devices_cannot_be_opened) {
    cr_plugin ctx;
    CHECK_EQ(0, mkfifo("fifo.so", 0644));
    CHECK(!cr_plugin_open(ctx, path_of("fifo.so")));
    CHECK(*cr_plugin_error(ctx));
    CHECK(!cr_plugin_open(ctx, "/dev/null"));
    CHECK(!cr_plugin_open(ctx, "/dev/zero"));
}
#endif

SCENARIO(paths_where_a_directory_takes_the_place_of_the_file) {
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, remove(p.path.c_str()));
    CHECK_EQ(0, mkdir(p.path.c_str(), 0755));
    survives_in_its_place(p);
    CHECK_EQ(0, rmdir(p.path.c_str()));
    then_loads(p);
}

#ifndef _WIN32
SCENARIO(paths_where_a_fifo_takes_the_place_of_the_file) {
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, remove(p.path.c_str()));
    CHECK_EQ(0, mkfifo(p.path.c_str(), 0644));
    survives_in_its_place(p);
    then_loads(p);
}

SCENARIO(paths_where_a_dangling_link_takes_the_place_of_the_file) {
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, remove(p.path.c_str()));
    CHECK_EQ(0, symlink("nowhere", p.path.c_str()));
    survives_in_its_place(p);
    CHECK_EQ(0, remove(p.path.c_str()));
    CHECK_EQ(0, symlink(p.path.c_str(), p.path.c_str())); // to itself
    survives_in_its_place(p);
    then_loads(p);
}
#endif

SCENARIO(paths_where_the_directory_goes_away) {
    CHECK_EQ(0, mkdir("somewhere", 0755));
    Plugin p("general_a", "somewhere/libguest.so");
    p.run();
    CHECK_EQ(0, rename("somewhere", "elsewhere"));
    survives_in_its_place(p);
    CHECK_EQ(0, mkdir("somewhere", 0755));
    then_loads(p);
    CHECK_TEXT("libguest.so", list("somewhere"));
}

#ifndef _WIN32
SCENARIO(paths_without_permission_to_read) {
    size_t size = 0;
    char *bytes = read_file(guest_path("general_b"), &size);
    install("general_a", path_of("libguest.so"));
    CHECK_EQ(0, chmod("libguest.so", 0644));
    become_nobody();
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
    CHECK_EQ(0, cr_plugin_update(ctx));
    install_bytes(bytes, size, path_of("libguest.so"));
    CHECK_EQ(0, chmod("libguest.so", 0));
    CHECK_EQ(-2, cr_plugin_update(ctx));
    CHECK_EQ(CR_BAD_IMAGE, ctx.failure);
    CHECK_CONTAINS("ermission", cr_plugin_error(ctx));
    CHECK_EQ(2, orders.count);
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(3, orders.count);
    CHECK_EQ(1, ctx.version);
    CHECK_EQ(2, ctx.next_version);
    CHECK_EQ(0, chmod("libguest.so", 0644));
    touch(path_of("libguest.so"));
    for (int i = 0; i < 3 && ctx.version == 1; ++i) {
        cr_plugin_update(ctx);
    }
    CHECK_EQ(2, ctx.version);
    cr_plugin_close(ctx);
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(paths_without_permission_to_write_copies) {
    CHECK_EQ(0, mkdir("closed", 0755));
    install("general_a", path_of("closed/libguest.so"));
    CHECK_EQ(0, mkdir("open", 0777));
    CHECK_EQ(0, chmod("open", 0777));
    CHECK_EQ(0, chmod("closed", 0555));
    become_nobody();
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("closed/libguest.so")));
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, cr_plugin_update(ctx));
        CHECK_EQ(0, ctx.version);
        CHECK_CONTAINS("ermission", cr_plugin_error(ctx));
    }
    cr_set_temporary_path(ctx, path_of("open"));
    for (int i = 0; i < 3 && ctx.version == 0; ++i) {
        cr_plugin_update(ctx);
    }
    CHECK_EQ(1, ctx.version);
    CHECK_TEXT("libguest1.so", list("open"));
    cr_plugin_close(ctx);
    CHECK_TEXT("libguest.so", list("closed"));
    chmod("closed", 0755); // so that it can be removed
}

SCENARIO(paths_without_permission_to_enter) {
    CHECK_EQ(0, mkdir("closed", 0755));
    install("general_a", path_of("closed/libguest.so"));
    CHECK_EQ(0, chmod("closed", 0));
    become_nobody();
    cr_plugin ctx;
    CHECK(!cr_plugin_open(ctx, path_of("closed/libguest.so")));
    CHECK_CONTAINS("ermission", cr_plugin_error(ctx));
    chmod("closed", 0755); // so that it can be removed
}
#endif
