// Every way in which a file changes is noticed by the next update, also when the system is asked whether anything has
// happened instead of the file being looked at. That begins once the file has been the same for a while. What is about
// one way of asking only is in watch_linux.cpp and windows.cpp.
#if defined(__linux__) || defined(_WIN32)
#include "watch.h"

#include <atomic>
#include <fcntl.h>
#include <thread>

SCENARIO(watch_new_time) {
    Plugin p("general_a");
    for (int i = 0; i < 3; ++i) {
        calm_down(p);
        const int watches = count_watches(), descriptors = count_descriptors();
        p.touch();
        is_noticed(p, 'a');
        // They are not given up: that takes the kernel longer than the reload.
        CHECK_EQ(watches, count_watches());
        CHECK_EQ(descriptors, count_descriptors());
    }
    p.close();
    CHECK_EQ(0, count_watches());
}

SCENARIO(watch_file_that_is_renamed_into_place) {
    Plugin p("general_a");
    for (int i = 0; i < 3; ++i) {
        calm_down(p);
        p.install(i % 2 ? "general_a" : "general_b");
        is_noticed(p, i % 2 ? 'a' : 'b');
    }
    p.close();
}

SCENARIO(watch_file_that_is_rewritten_in_place) {
    Plugin p("general_a");
    calm_down(p);
    size_t size = 0;
    char *bytes = read_file(guest_path("general_b"), &size);
    write_file(p.path.c_str(), bytes, size);
    is_noticed(p, 'b');
    calm_down(p);
    // A part of it.
    int file = open(p.path.c_str(), O_WRONLY);
    CHECK_EQ(1, write(file, bytes, 1));
    is_noticed(p, 'b');
    close(file);
    p.close();
}

SCENARIO(watch_file_that_is_removed_and_made_again) {
    Plugin p("general_a");
    calm_down(p);
    CHECK_EQ(0, unlink(p.path.c_str()));
    p.run(40);
    p.install("general_b");
    is_noticed(p, 'b');
    calm_down(p);
    CHECK_EQ(0, rename(p.path.c_str(), path_of("elsewhere")));
    p.install("general_c");
    is_noticed(p, 'c');
    p.close();
}

SCENARIO(watch_other_names_of_the_file) {
    Plugin p("general_a");
    CHECK_EQ(0, link(p.path.c_str(), path_of("other-name")));
    calm_down(p);
    touch(path_of("other-name"));
    is_noticed(p, 'a');
    calm_down(p);
    // The inode lives on.
    p.install("general_b");
    is_noticed(p, 'b');
    p.close();
}

SCENARIO(watch_directory_that_is_removed_and_made_again) {
    make_directory("build");
    Plugin p("general_a", "build/libguest.so");
    cr_set_temporary_path(p.ctx, ".");
    calm_down(p);
    CHECK_EQ(0, unlink(p.path.c_str()));
    CHECK_EQ(0, rmdir("build"));
    p.run(40);
    make_directory("build");
    p.install("general_b");
    is_noticed(p, 'b');
    calm_down(p);
    p.touch();
    is_noticed(p, 'b');
    p.close();
}

SCENARIO(watch_directory_above_that_is_replaced) {
    make_directory("one");
    make_directory("one/deep");
    make_directory("two");
    make_directory("two/deep");
    install("general_b", path_of("two/deep/libguest.so"));
    Plugin p("general_a", "one/deep/libguest.so");
    cr_set_temporary_path(p.ctx, ".");
    calm_down(p);
    CHECK_EQ(0, rename("one", "three"));
    CHECK_EQ(0, rename("two", "one"));
    is_noticed(p, 'b');
    calm_down(p);
#ifdef __linux__
    CHECK_EQ(0, renameat2(AT_FDCWD, "one", AT_FDCWD, "three", RENAME_EXCHANGE)); // at one stroke
#else
    CHECK_EQ(0, rename("one", "two"));
    CHECK_EQ(0, rename("three", "one"));
#endif
    is_noticed(p, 'a');
    p.close();
}

SCENARIO(watch_changes_that_are_none_do_no_harm) {
    Plugin p("general_a");
    calm_down(p);
    CHECK_EQ(0, chmod(p.path.c_str(), 0700));
    p.run(3);
    CHECK_EQ(0, link(p.path.c_str(), path_of("other-name")));
    calm_down(p);
    CHECK_EQ(1, p.ctx.version);
    p.touch();
    is_noticed(p, 'a');
    p.close();
}

SCENARIO(watch_on_two_threads_at_once) {
    std::atomic<int> wrong(0);
    auto change = [&wrong](const char *name) {
        Plugin p("general_a", name);
        for (unsigned i = 1; i < 100; ++i) {
            for (int j = 0; j < 20; ++j) {
                wrong += p.update() != 0 || p.ctx.version != i;
                p.orders.count = 0;
            }
            p.touch();
        }
        p.update();
        wrong += p.ctx.version != 100;
        p.close();
    };
    std::thread one(change, "libone.so"), two(change, "libtwo.so");
    one.join();
    two.join();
    CHECK_EQ(0, wrong.load());
    CHECK_EQ(0, count_watches());
}

#endif
