// What is about Linux alone in how changes of files are noticed: of inotify, processes that fork, and file systems.
#ifdef __linux__
#include "watch.h"

#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// As root of a user namespace of its own, with mounts and limits of its own.
void enter_namespace() {
    const std::string user = "0 " + std::to_string(getuid()) + " 1", group = "0 " + std::to_string(getgid()) + " 1";
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        skip("no user namespaces: %s", strerror(errno));
    }
    write_file("/proc/self/setgroups", "deny", 4);
    write_file("/proc/self/uid_map", user.c_str(), user.size());
    write_file("/proc/self/gid_map", group.c_str(), group.size());
}

} // namespace

SCENARIO(watch_file_that_is_written_through_a_mapping) {
    Plugin p("general_a");
    calm_down(p);
    size_t size = 0;
    char *bytes = read_file(guest_path("general_b"), &size);
    int file = open(p.path.c_str(), O_RDWR);
    CHECK_EQ(0, ftruncate(file, static_cast<off_t>(size)));
    is_noticed(p, 'a'); // the same content with a new time
    calm_down(p);
    void *mapping = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(mapping != MAP_FAILED);
    close(file);
    usleep(20000); // so that the time, which has the grain of the clock's tick, is another
    std::memcpy(mapping, bytes, size);
    CHECK_EQ(0, munmap(mapping, size));
    is_noticed(p, 'b');
    p.close();
}

SCENARIO(watch_mapping_that_stays_open_is_noticed_within_64_updates) {
    Plugin p("general_a");
    int file = open(p.path.c_str(), O_RDWR);
    char *mapping = static_cast<char *>(mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    for (int i = 0; i < 2; ++i) {
        if (i == 0) {
            calm_down(p);
        }
        usleep(20000);
        *static_cast<volatile char *>(mapping) = 0x7f; // what is there
        CHECK_EQ(0, msync(mapping, 1, MS_SYNC));       // the next write faults again
        const unsigned version = p.ctx.version;
        for (int update = 0; p.ctx.version == version; ++update) {
            CHECK(update <= 64);
            CHECK_EQ(0, p.update());
        }
        // One whose changes are not told is not subscribed to any more.
        p.run(100);
        CHECK_EQ(0, count_watches());
    }
    p.close();
}

SCENARIO(watch_symbolic_link_on_the_way_that_is_switched) {
    make_directory("releases");
    make_directory("releases/1");
    make_directory("releases/2");
    install("general_a", path_of("releases/1/libguest.so"));
    install("general_b", path_of("releases/2/libguest.so"));
    CHECK_EQ(0, symlink("releases/./1/../1", "current"));
    script orders = {};
    cr_plugin ctx;
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("current/libguest.so")));
    cr_set_temporary_path(ctx, ".");
    const char *const targets[] = {"releases/2", path_of("releases/1"), "releases/2"};
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 40; ++j) {
            CHECK_EQ(0, cr_plugin_update(ctx));
        }
        CHECK_EQ(i + 1, ctx.version);
        CHECK(!tells(".") || count_watches() > 0);
        CHECK_EQ(0, symlink(targets[i], "new"));
        CHECK_EQ(0, rename("new", "current"));
        orders.count = 0;
        CHECK_EQ(0, cr_plugin_update(ctx));
        CHECK_EQ(i + 2, ctx.version);
        CHECK_EQ(i % 2 ? 'a' : 'b', orders.events[orders.count - 1].marker);
        orders.count = 0;
    }
    cr_plugin_close(ctx);
}

SCENARIO(watch_symbolic_links_to_the_file) {
    install("general_a", path_of("one.so"));
    install("general_b", path_of("two.so"));
    CHECK_EQ(0, symlink("one.so", "link.so"));
    CHECK_EQ(0, symlink("link.so", "libguest.so"));
    script orders = {};
    cr_plugin ctx;
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
    for (int i = 0; i < 40; ++i) {
        CHECK_EQ(0, cr_plugin_update(ctx));
    }
    touch(path_of("one.so"));
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(2, ctx.version);
    for (int i = 0; i < 40; ++i) {
        orders.count = 0;
        CHECK_EQ(0, cr_plugin_update(ctx));
    }
    CHECK_EQ(0, unlink("link.so"));
    CHECK_EQ(0, symlink("two.so", "link.so"));
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(3, ctx.version);
    CHECK_EQ('b', orders.events[orders.count - 1].marker);
    cr_plugin_close(ctx);
}

SCENARIO(watch_queue_that_overflows) {
    Plugin p("general_a"), other("general_b", "libother.so");
    calm_down(p);
    other.run(40);
    // Only different events in a row are kept, 16384 of them by default.
    for (long i = 0; i < 20000; ++i) {
        set_time(other.path.c_str(), i, 0);
        int file = open(other.path.c_str(), O_WRONLY);
        close(file);
    }
    p.touch();
    is_noticed(p, 'a');
    CHECK_EQ(0, other.update());
    CHECK_EQ(2, other.ctx.version);
    p.close();
    other.close();
}

SCENARIO(watch_without_a_descriptor_to_spare) {
    Plugin p("general_a");
    p.run();
    rlimit limit = {}, none = {};
    CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
    none = limit;
    none.rlim_cur = 0;
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
    p.run(40);
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(0, count_watches());
    p.touch();
    is_noticed(p, 'a');
    // Now there is one.
    calm_down(p);
    p.close();
}

SCENARIO(watch_with_the_limits_of_inotify_reached) {
    const std::string path = "/proc/sys/user/max_inotify_";
    enter_namespace();
    for (const char *const name : {"instances", "watches"}) {
        int file = open((path + name).c_str(), O_WRONLY);
        if (file < 0 || write(file, "1", 1) != 1) {
            skip("the limit cannot be set");
        }
        close(file);
    }
    Plugin p("general_a");
    p.run(40);
    CHECK_EQ(0, count_watches()); // one is too few
    p.touch();
    is_noticed(p, 'a');
    p.run(40);
    CHECK_EQ(0, count_watches());
    p.install("general_b");
    is_noticed(p, 'b');
    p.close();
}

SCENARIO(watch_overlay_is_looked_at) {
    enter_namespace();
    for (const char *const name : {"lower", "upper", "work", "merged"}) {
        make_directory(name);
    }
    install("general_a", path_of("lower/libguest.so"));
    if (mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") != 0) {
        skip("no overlay can be mounted: %s", strerror(errno));
    }
    Plugin p("general_a", "merged/libguest.so");
    p.run(100);
    CHECK_EQ(0, count_watches());
    // Behind its back, in the layer that has the file.
    touch(path_of("upper/libguest.so"));
    is_noticed(p, 'a');
    p.close();
    CHECK_EQ(0, umount("merged"));
}

SCENARIO(watch_file_systems_of_the_kernel_are_looked_at) {
    install("general_a", path_of("libguest.so"));
    script orders = {};
    cr_plugin ctx;
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, "/proc/self/cwd/libguest.so"));
    cr_set_temporary_path(ctx, path_of("."));
    for (int i = 0; i < 40; ++i) {
        CHECK_EQ(0, cr_plugin_update(ctx));
        orders.count = 0;
    }
    CHECK_EQ(0, count_watches());
    // The link leads elsewhere without an event.
    make_directory("elsewhere");
    install("general_b", path_of("elsewhere/libguest.so"));
    CHECK_EQ(0, chdir("elsewhere"));
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(2, ctx.version);
    cr_plugin_close(ctx);
}

SCENARIO(watch_file_system_that_is_mounted_over_the_path_is_noticed_within_64_updates) {
    enter_namespace();
    make_directory("build");
    Plugin p("general_a", "build/libguest.so");
    cr_set_temporary_path(p.ctx, ".");
    calm_down(p);
    if (mount("tmpfs", "build", "tmpfs", 0, "") != 0) {
        skip("nothing can be mounted: %s", strerror(errno));
    }
    p.install("general_b");
    for (int update = 0; p.ctx.version == 1; ++update) {
        CHECK(update <= 64);
        CHECK_EQ(0, p.update());
    }
    CHECK_EQ('b', p.orders.events[p.orders.count - 1].marker);
    p.close();
    CHECK_EQ(0, umount("build"));
}

SCENARIO(watch_after_a_fork_both_processes_notice) {
    Plugin p("general_a");
    calm_down(p);
    const pid_t child = fork();
    if (child == 0) {
        cr_set_temporary_path(p.ctx, "/nonexistent"); // its copies would have the names of the parent's
        p.install("general_b");
        // The file cannot be copied, but it was noticed.
        for (int i = 0; i < 3; ++i) {
            if (cr_plugin_update(p.ctx) == -2 && p.ctx.failure == CR_BAD_IMAGE) {
                _exit(0);
            }
        }
        _exit(1);
    }
    int status = 0;
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    is_noticed(p, 'b');
    calm_down(p);
    set_time(p.path.c_str(), 5000, 0); // the child has counted on in touch()
    is_noticed(p, 'b');
    p.close();
}

SCENARIO(watch_child_process_leaves_the_watches_of_its_parent_alone) {
    Plugin p("general_a");
    calm_down(p);
    const int watches = count_watches();
    const pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 40; ++i) {
            p.update();
        }
        _exit(count_watches() == watches ? 0 : 1); // of its own
    }
    int status = 0;
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    CHECK_EQ(watches, count_watches());
    p.touch();
    is_noticed(p, 'a');
    p.close();
}

SCENARIO(watch_host_that_closes_all_descriptors) {
    Plugin p("general_a"), other("general_b", "libother.so");
    calm_down(p);
    other.run(40);
    for (int fd = 3; fd < 2000; ++fd) {
        close(fd);
    }
    p.run(3);
    p.touch();
    is_noticed(p, 'a');
    calm_down(p);
    p.touch();
    is_noticed(p, 'a');
    // Not from the queue that has taken the number over.
    calm_down(p);
    other.touch();
    is_noticed(other, 'b');
    p.touch();
    is_noticed(p, 'a');
    other.close();
    p.close();
}

SCENARIO(watch_descriptor_that_the_host_has_taken_over_is_left_alone) {
    Plugin p("general_a");
    calm_down(p);
    int number = -1;
    for (int fd = 3; fd < 1100; ++fd) {
        char name[64] = {};
        if (readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof name - 1) > 0 &&
            std::strcmp(name, "anon_inode:inotify") == 0) {
            number = fd;
        }
    }
    CHECK(number >= 256); // none that the host is soon given
    int ends[2];
    CHECK_EQ(0, pipe(ends));
    CHECK_EQ(number, dup2(ends[0], number));
    CHECK_EQ(5, write(ends[1], "bytes", 5));
    p.touch();
    is_noticed(p, 'a');
    calm_down(p);
    p.touch();
    is_noticed(p, 'a');
    p.close();
    char bytes[8] = {};
    CHECK_EQ(5, read(number, bytes, sizeof bytes));
    CHECK_TEXT("bytes", bytes);
}

#endif
