// CONTRACT §3 rows 10, 11 and 12: the copies on disk, where they go, and whose files they are.
#include "crash.h"
#include "fixture.h"

#include <climits>
#include <string>
#ifndef _WIN32
#include <sys/resource.h>
#endif
#include <vector>

namespace {

void write_text(const std::string &path, const char *text = "not yours") {
    write_file(path.c_str(), text, std::strlen(text));
}

bool has_text(const std::string &path, const char *text = "not yours") {
    size_t size = 0;
    char *bytes = read_file(path.c_str(), &size);
    bool same = std::string(bytes, size) == text;
    std::free(bytes);
    return same;
}

std::string dead_process() { return std::to_string(number_of_dead_process()); }

std::string own_process() { return std::to_string(getpid()); }

// Copies cannot be made: nothing else happens until they can.
void goes_on_without_copies(Plugin &p, const char *text) {
    int steps = 0, refusals = 0;
    p.on(CR_STEP, ACT_RETURN, 5);
    for (int i = 0; i < 10; ++i) {
        int result = p.update();
        if (result == 5) {
            ++steps;
            CHECK_TRACE("a.step@1", p);
            CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
        } else {
            ++refusals;
            CHECK_EQ(-2, result);
            CHECK_TRACE("", p);
            CHECK_CONTEXT(p, 1, CR_BAD_IMAGE, 2, 0);
            CHECK_CONTAINS(text, cr_plugin_error(p.ctx));
        }
    }
    CHECK(steps >= 5); // never two refusals in a row
    CHECK(refusals >= 1);
}

// It is tried again without a new file.
void then_copies(Plugin &p) {
    for (int i = 0; i < 3 && p.ctx.version == 1; ++i) {
        p.update();
    }
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.on(CR_STEP, ACT_RETURN);
    p.run();
}

} // namespace

SCENARIO(r10_file_of_another_with_the_name_of_a_copy_stays) {
    write_text("libguest1.so");
    write_text("libguest2.so");
    Plugin p("general_a");
    p.run();
    CHECK(file_exists(("libguest1." + own_process() + ".so").c_str()));
    p.run_next("general_b");
    CHECK(file_exists(("libguest2." + own_process() + ".so").c_str()));
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.run();
    CHECK(has_text("libguest1.so"));
    CHECK(has_text("libguest2.so"));
    p.close();
    CHECK_TEXT("libguest.so libguest1.so libguest2.so", list("."));
    CHECK(has_text("libguest1.so"));
    CHECK(has_text("libguest2.so"));
}

#ifndef _WIN32
SCENARIO(r10_link_with_the_name_of_a_copy_is_not_followed) {
    write_text("victim");
    CHECK_EQ(0, symlink("victim", "libguest1.so"));
    CHECK_EQ(0, symlink("nowhere", "libguest2.so"));
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    CHECK(has_text("victim"));
    p.close();
    CHECK_TEXT("libguest.so libguest1.so libguest2.so victim", list("."));
    CHECK(has_text("victim"));
}
#endif

SCENARIO(r10_close_removes_all_that_was_made) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.run();
    p.run_next("general_c");
#ifndef _WIN32 // wine 8 keeps an image mapped that it could not load, and with it the file
    p.install("undefined_b");
    CHECK_EQ(-2, p.update());
    p.run();
#endif
    install_bytes("garbage", 7, p.path.c_str());
    CHECK_EQ(-2, p.update());
    p.run();
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

#ifndef _WIN32
SCENARIO(r10_close_leaves_what_has_taken_the_place_of_a_copy) {
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, remove("libguest1.so"));
    write_text("libguest1.so");
    p.close();
    CHECK_TEXT("libguest.so libguest1.so", list("."));
    CHECK(has_text("libguest1.so"));
}
#endif

SCENARIO(r10_rollback_whose_copy_was_deleted_is_no_end) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    CHECK_EQ(0, remove("libguest1.so"));
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK(p.ctx.failure != CR_NONE);
        CHECK(*cr_plugin_error(p.ctx));
    }
    p.install("general_c");
    CHECK_EQ(0, p.update());
    CHECK_EQ(CR_NONE, p.ctx.failure);
    CHECK_EQ('c', p.orders.events[p.orders.count - 1].marker);
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(r10_only_the_last_copies_are_kept) {
    Plugin p("general_a");
    for (int i = 0; i < 30; ++i) {
        p.run();
        p.touch();
    }
    int copies = 0;
    for (int i = 1; i <= 30; ++i) {
        copies += file_exists(("libguest" + std::to_string(i) + ".so").c_str());
    }
    CHECK(copies >= 2 && copies <= 10); // the last 8, the running one, and the file that the next one gets
    CHECK(file_exists("libguest30.so") && file_exists("libguest29.so"));
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

#ifndef _WIN32
SCENARIO(r10_file_of_a_copy_is_used_again_but_not_if_it_is_linked) {
    const auto inode = [](const char *name) {
        struct stat info = {};
        CHECK_EQ(0, stat(name, &info));
        return info.st_ino;
    };
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, link("libguest1.so", "linked"));
    p.run_next("general_b");
    const auto second = inode("libguest2.so");
    size_t size = 0, kept_size = 0;
    char *first = read_file("libguest1.so", &size);
    bool again = false;
    for (int i = 3; i < 30; ++i) {
        p.run_next("general_b");
        again |= inode(("libguest" + std::to_string(i) + ".so").c_str()) == second;
    }
    char *kept = read_file("linked", &kept_size);
    CHECK(size == kept_size && std::memcmp(first, kept, size) == 0);
#ifdef __linux__
    CHECK(again);
#else
    (void)again; // each copy is a new file
#endif
    std::free(first);
    std::free(kept);
    p.close();
    CHECK_TEXT("libguest.so linked", list("."));
}

// What the parent has unloaded, a child may still have in memory: its file must stay as it is.
SCENARIO(r10_forked_child_keeps_the_version_that_it_has) {
    int to_child[2];
    char byte = 0;
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, pipe(to_child));
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQ(1, read(to_child[0], &byte, 1));
        p.trace();
        CHECK_EQ(0, cr_plugin_update(p.ctx, false));
        CHECK_TRACE("a.step@1", p);
        _exit(0);
    }
    for (int i = 0; i < 30; ++i) {
        p.run_next("general_b");
    }
    CHECK_EQ(1, write(to_child[1], &byte, 1));
    int status = 1;
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    p.close();
}
#endif

SCENARIO(r10_version_to_go_back_to_is_kept_through_any_number_of_crashes) {
    Plugin p("general_a");
    p.run();
    for (unsigned i = 2; i < 40; ++i) {
        p.run_next("general_b");
        CHECK_EQ(i, p.ctx.version);
        p.on(CR_STEP, ACT_NULL_WRITE);
        CHECK_EQ(-1, p.update());
        p.on(CR_STEP, ACT_RETURN);
        p.trace();
        CHECK_EQ(0, p.update());
        CHECK_TRACE("a.load@1!1 a.step@1", p);
    }
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(r10_stale_copies_of_dead_processes_are_swept_at_open) {
    std::string dead = dead_process();
    std::string stale = "libguest3." + dead + ".so";
    std::vector<std::string> others = {
        "libguest3.so",                       // no process in its name
        "libguest3." + own_process() + ".so", // alive
        "libguest3." + std::to_string(getppid()) + ".so",
        "libguest3.7.so",             // may be somebody's version 3.7
        "libguest3." + dead + "x.so", // not our kind of name
        "libguest3x." + dead + ".so",
        "libguest." + dead + ".so",
        "libguest3." + dead + ".so.bak",
        "libother3." + dead + ".so",
    };
    for (const std::string &name : others) {
        write_text(name);
    }
    write_text(stale);
    std::string directory = "libguest4." + dead + ".so";
    CHECK_EQ(0, mkdir(directory.c_str(), 0755));
    Plugin p("general_a");
    CHECK(!file_exists(stale.c_str()));
    p.run();
    p.close();
    CHECK(file_exists(directory.c_str()));
    for (const std::string &name : others) {
        CHECK(has_text(name));
    }
}

SCENARIO(r10_stale_copies_in_the_temporary_path_are_swept) {
    std::string stale = "elsewhere/libguest3." + dead_process() + ".so";
    CHECK_EQ(0, mkdir("elsewhere", 0755));
    write_text(stale);
    Plugin p("general_a");
    cr_set_temporary_path(p.ctx, path_of("elsewhere"));
    p.run();
    CHECK_TEXT("libguest1.so", list("elsewhere"));
    p.close();
    CHECK_TEXT("", list("elsewhere"));
}

#ifndef _WIN32
SCENARIO(r10_two_processes_with_one_guest_do_not_disturb_each_other) {
    int to_child[2], to_parent[2];
    char byte = 0;
    install("general_a", path_of("libguest.so"));
    CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0);
    auto wait_for = [&byte](int *pipe) { CHECK_EQ(1, read(pipe[0], &byte, 1)); };
    auto say = [&byte](int *pipe) { CHECK_EQ(1, write(pipe[1], &byte, 1)); };
    pid_t child = fork(); // before anything of the library has run
    if (child == 0) {
        cr_plugin ctx;
        script orders = {};
        ctx.userdata = &orders;
        CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
        CHECK_EQ(0, cr_plugin_update(ctx));
        say(to_parent);
        wait_for(to_child);
        CHECK_EQ(0, cr_plugin_update(ctx));
        CHECK_EQ(2, ctx.version);
        cr_plugin_close(ctx);
        _exit(0);
    }
    wait_for(to_parent);
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
    CHECK_EQ(0, cr_plugin_update(ctx));
    std::string mine = "libguest1." + own_process() + ".so";
    CHECK(file_exists("libguest1.so"));
    CHECK(file_exists(mine.c_str()));
    install("general_b", path_of("libguest.so"));
    CHECK_EQ(0, cr_plugin_update(ctx));
    say(to_child);
    int status = 1;
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    CHECK(file_exists(mine.c_str()));
    CHECK(!file_exists("libguest1.so"));
    orders.on[CR_STEP].action = ACT_NULL_WRITE;
    CHECK_EQ(-1, cr_plugin_update(ctx));
    orders.on[CR_STEP].action = ACT_RETURN;
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ('a', orders.events[orders.count - 1].marker);
    cr_plugin_close(ctx);
    CHECK_TEXT("libguest.so", list("."));
}
#endif

SCENARIO(r10_plugins_of_one_name_share_a_directory) {
    std::vector<Plugin *> plugins;
    CHECK_EQ(0, mkdir("copies", 0755));
    for (const char *directory : {"one", "two", "three", "four"}) {
        CHECK_EQ(0, mkdir(directory, 0755));
        plugins.push_back(new Plugin("general_a", (std::string(directory) + "/libguest.so").c_str()));
        cr_set_temporary_path(plugins.back()->ctx, path_of("copies"));
    }
    for (const char *guest : {"general_b", "general_c"}) {
        for (Plugin *p : plugins) {
            p->run();
            p->run_next(guest);
        }
    }
    for (Plugin *p : plugins) {
        CHECK_EQ(3, p->ctx.version);
        p->on(CR_STEP, ACT_NULL_WRITE);
        CHECK_EQ(-1, p->update());
        p->on(CR_STEP, ACT_RETURN);
        p->trace();
        CHECK_EQ(0, p->update());
        CHECK_TRACE("b.load@2!1 b.step@2", *p);
        p->close();
    }
    CHECK_TEXT("", list("copies"));
}

SCENARIO(r10_missing_copy_directory_is_reported_and_tried_again) {
    Plugin p("general_a");
    p.run();
    cr_set_temporary_path(p.ctx, path_of("missing"));
    p.install("general_b");
    goes_on_without_copies(p, "missing");
    CHECK_EQ(0, mkdir("missing", 0755));
    then_copies(p);
    CHECK_TEXT("libguest2.so", list("missing"));
    p.close();
    CHECK_TEXT("", list("missing"));
}

SCENARIO(r10_missing_copy_directory_at_the_first_load) {
    Plugin p("general_a");
    cr_set_temporary_path(p.ctx, path_of("missing"));
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK_EQ(0, p.ctx.version);
        CHECK_EQ(1, p.ctx.next_version);
        CHECK_CONTAINS("missing", cr_plugin_error(p.ctx));
    }
    CHECK_EQ(0, mkdir("missing", 0755));
    for (int i = 0; i < 3 && p.ctx.version == 0; ++i) {
        p.update();
    }
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.close();
}

SCENARIO(r10_file_in_the_place_of_the_copy_directory) {
    Plugin p("general_a");
    p.run();
    write_text("elsewhere");
    cr_set_temporary_path(p.ctx, path_of("elsewhere"));
    p.install("general_b");
    goes_on_without_copies(p, "elsewhere");
    CHECK(has_text("elsewhere"));
    p.close();
}

#ifndef _WIN32
SCENARIO(r10_full_disk_is_reported_and_tried_again) {
    // A limit on the size of files stands for the full disk: it needs no rights, and fails in the middle of the copy.
    Plugin p("general_a");
    p.run();
    p.install("large_b");
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit, narrow;
    CHECK_EQ(0, getrlimit(RLIMIT_FSIZE, &limit));
    narrow = limit;
    narrow.rlim_cur = 20000;
    CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &narrow));
    goes_on_without_copies(p, "libguest2.so");
    CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
    CHECK_TEXT("libguest.so libguest1.so", list(".")); // no half of a copy
    then_copies(p);
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}
#endif

SCENARIO(r11_temporary_path_without_a_separator_gets_one) {
    CHECK_EQ(0, mkdir("elsewhere", 0755));
    Plugin p("general_a");
    cr_set_temporary_path(p.ctx, path_of("elsewhere"));
    p.run();
    p.run_next("general_b");
    CHECK_TEXT("libguest1.so libguest2.so", list("elsewhere"));
    CHECK_TEXT("elsewhere libguest.so", list("."));
    p.close();
    CHECK_TEXT("", list("elsewhere"));
}

SCENARIO(r11_temporary_path_may_change_and_be_taken_back) {
    CHECK_EQ(0, mkdir("elsewhere", 0755));
    Plugin p("general_a");
    p.run();
    cr_set_temporary_path(p.ctx, "elsewhere"); // relative
    p.run_next("general_b");
    CHECK_TEXT("libguest2.so", list("elsewhere"));
    cr_set_temporary_path(p.ctx, "");
    p.run_next("general_c");
    CHECK_TEXT("elsewhere libguest.so libguest1.so libguest3.so", list("."));
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@2!1 b.step@2", p);
    p.close();
    CHECK_TEXT("elsewhere libguest.so", list("."));
    CHECK_TEXT("", list("elsewhere"));
}

SCENARIO(r12_name_without_a_slash_is_that_of_a_file_here) {
    install("general_a", path_of("libguest.so"));
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, "libguest.so"));
    CHECK_TEXT(path_of("libguest.so"), static_cast<cr_internal *>(ctx.p)->fullname.c_str());
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(1, ctx.version);
    CHECK_TEXT("libguest.so libguest1.so", list("."));
    cr_plugin_close(ctx);
}

SCENARIO(r12_change_of_directory_after_open_does_not_matter) {
    CHECK_EQ(0, mkdir("elsewhere", 0755));
    const char *path = path_of("libguest.so");
    install("general_a", path);
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, "./libguest.so"));
    CHECK_EQ(0, chdir("elsewhere"));
    CHECK_EQ(0, cr_plugin_update(ctx));
    install("general_b", path);
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(2, ctx.version);
    CHECK_TEXT("", list("."));
    cr_plugin_close(ctx);
    CHECK_TEXT("elsewhere libguest.so", list(".."));
}
