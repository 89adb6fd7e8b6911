// The option CR_WATCH: a thread watches the files, updates make no system call, and changes come a little later.
#if defined(__linux__) || defined(_WIN32)
#include "fixture.h"
#include "system.h"

#include <csignal>
#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

struct Watched {
    cr_plugin ctx;
    script orders = {};
    std::string path;

    explicit Watched(const char *name = "libguest.so") : path(path_of(name)) {
        ctx.userdata = &orders;
        install("general_a", path.c_str());
        open();
    }
    void open(const char *other_path = nullptr) {
        cr_options options = CR_OPTIONS_INIT;
        options.flags = CR_WATCH;
        options.temporary_path = ".";
        CHECK(cr_plugin_open_with(ctx, other_path ? other_path : path.c_str(), options));
    }
    void update() {
        CHECK_EQ(0, cr_plugin_update(ctx));
        orders.count = 0;
    }
    // Until the version is loaded; a few milliseconds, but machines may be slow.
    void becomes(unsigned version) {
        for (int i = 0; ctx.version != version; ++i) {
            CHECK(i < 10000);
            usleep(1000);
            update();
        }
    }
};

// Long enough for the thread to look, and to have changes told.
void let_it_look() { usleep(300000); }

} // namespace

SCENARIO(watch_thread_sees_changes_of_every_kind) {
    Watched p;
    p.update();
    for (unsigned version = 2; version < 12; ++version) {
        switch (version % 4) {
        case 0:
            touch(p.path.c_str());
            break;
        case 1:
            install("general_b", p.path.c_str());
            break;
        case 2:
            unlink(p.path.c_str());
            p.update();
            install("general_c", p.path.c_str());
            break;
        case 3:
            let_it_look();
            set_time(p.path.c_str(), 7000 + version, 1);
            break;
        }
        p.becomes(version);
    }
    let_it_look();
    p.update();
    CHECK_EQ(11, p.ctx.version);
    cr_plugin_close(p.ctx);
}

SCENARIO(watch_thread_is_one_and_ends_with_the_last_plugin) {
    CHECK_EQ(1, count_threads());
    const int descriptors = count_descriptors();
    for (int round = 0; round < 20; ++round) {
        Watched one("libone.so"), two("libtwo.so");
        CHECK_EQ(2, count_threads());
        one.update();
        two.update();
        if (round % 10 == 0) {
            let_it_look();
        }
        cr_plugin_close(one.ctx);
        CHECK_EQ(2, count_threads());
        touch(two.path.c_str());
        two.becomes(2);
        cr_plugin_close(two.ctx);
        CHECK_EQ(1, count_threads());
        CHECK_EQ(descriptors, count_descriptors());
    }
}

SCENARIO(watch_thread_serves_plugins_of_many_threads) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([i] {
            for (int round = 0; round < 10; ++round) {
                Watched p(("lib" + std::to_string(i) + "x.so").c_str());
                p.update();
                touch(p.path.c_str());
                p.becomes(2);
                cr_plugin_close(p.ctx);
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    CHECK_EQ(1, count_threads());
}

#ifdef __linux__

SCENARIO(watch_thread_spares_updates_their_system_calls) {
    Watched p;
    p.update();
    let_it_look();
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), // the number of the system call
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) { // of this thread alone
        skip("this kernel has no system call filters");
    }
    int sum = 0;
    for (int i = 0; i < 1000; ++i) {
        p.orders.on[CR_STEP].value = i;
        sum += cr_plugin_update(p.ctx);
    }
    syscall(SYS_exit_group, sum == 499500 ? 0 : 1);
}

SCENARIO(watch_thread_looks_where_nothing_is_told) {
    Watched p;
    cr_plugin_close(p.ctx);
    p.open("/proc/self/cwd/libguest.so");
    p.update();
    let_it_look();
    touch(p.path.c_str());
    p.becomes(2);
    cr_plugin_close(p.ctx);
}

SCENARIO(watch_thread_leaves_signals_to_the_host) {
    sigset_t user, pending;
    sigemptyset(&user);
    sigaddset(&user, SIGUSR1);
    Watched p;
    p.update();
    CHECK_EQ(0, pthread_sigmask(SIG_BLOCK, &user, nullptr));
    CHECK_EQ(0, kill(getpid(), SIGUSR1)); // would end the process on a thread that takes it
    let_it_look();
    CHECK_EQ(0, sigpending(&pending));
    CHECK(sigismember(&pending, SIGUSR1));
    cr_plugin_close(p.ctx);
}

SCENARIO(watch_thread_stays_with_the_parent_of_a_fork) {
    Watched p;
    p.update();
    let_it_look();
    const pid_t child = fork();
    if (child == 0) {
        cr_set_temporary_path(p.ctx, "/nonexistent"); // its copies would have the names of the parent's
        touch(p.path.c_str());
        bool noticed = cr_plugin_update(p.ctx) == -2 && p.ctx.failure == CR_BAD_IMAGE;
        Watched other("libother.so"); // with a thread of the child's own
        other.update();
        let_it_look();
        touch(other.path.c_str());
        other.becomes(2);
        cr_plugin_close(other.ctx);
        _exit(noticed ? 0 : 1);
    }
    int status = 0;
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK_EQ(0, status);
    p.becomes(2);
    cr_plugin_close(p.ctx);
    CHECK_EQ(1, count_threads());
}

#endif
#endif
