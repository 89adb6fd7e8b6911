// Issue "must show": a thousand reloads and a thousand crashes leave everything flat, and an update without a check
// makes no system call.
#include "fixture.h"

#ifdef __linux__
#include <csignal>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

namespace {

struct Resources {
    int maps = count_mapped(""), descriptors = count_descriptors();
    size_t memory = memory_in_use();
    size_t names = length_of_names();

    static size_t length_of_names() {
        char *names = list(".");
        size_t length = std::strlen(names);
        std::free(names);
        return length;
    }
};

// Runs the body a hundred times, then a thousand times, and compares.
template <class Body> void stays_flat(Body body) {
    for (int i = 0; i < 100; ++i) {
        body(i);
    }
    Resources before;
    for (int i = 0; i < 1000; ++i) {
        body(i);
    }
    Resources after;
    CHECK(after.maps <= before.maps + 2);
    CHECK_EQ(before.descriptors, after.descriptors);
    CHECK(after.memory <= before.memory + 32 * 1024);
    CHECK(after.names <= before.names + 32); // the numbers in them get longer
}

} // namespace

SCENARIO(soak_thousand_reloads) {
    Plugin p("general_a");
    stays_flat([&p](int i) { p.run_next(i % 2 ? "general_a" : "general_b"); });
    CHECK_EQ(1100, p.ctx.version);
    CHECK_EQ(1200, p.orders.state_counter);
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(soak_thousand_crashes_with_rollback) {
    Plugin p("general_a");
    p.run();
    const script_action crashes[] = {ACT_NULL_WRITE, ACT_ILLEGAL, ACT_ABORT, ACT_DIVIDE, ACT_TRAP};
    stays_flat([&](int i) {
        p.touch();
        p.on(CR_STEP, crashes[i % 5]);
        CHECK_EQ(-1, p.update());
        p.on(CR_STEP, ACT_RETURN);
        p.run(); // the rollback
        p.run(); // the same file is no news
    });
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(soak_thousand_crashes_of_a_first_version) {
    Plugin p("general_a");
    stays_flat([&p](int) {
        p.on(CR_STEP, ACT_NULL_WRITE);
        CHECK_EQ(-1, p.update());
        CHECK_EQ(-2, p.update());
        p.on(CR_STEP, ACT_RETURN);
        p.touch();
        p.run();
        p.ctx.last_working_version = 0;
        p.trace();
    });
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(soak_thousand_user_failures) {
    Plugin p("general_a");
    p.run();
    stays_flat([&p](int) {
        p.on(CR_STEP, ACT_RETURN, -3);
        CHECK_EQ(-3, p.update());
        p.on(CR_STEP, ACT_RETURN);
        p.run();
    });
    p.close();
}

SCENARIO(soak_thousand_refused_files) {
    Plugin p("general_a");
    p.run();
    stays_flat([&p](int i) {
        install_bytes("garbage", static_cast<size_t>(1 + i % 7), p.path.c_str());
        CHECK_EQ(-2, p.update());
        p.run();
    });
#ifndef _WIN32 // wine 8 keeps an image mapped that it could not load, and with it the file
    p.install("undefined_b");
    stays_flat([&p](int) {
        p.touch();
        CHECK_EQ(-2, p.update());
        p.run();
    });
#endif
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(soak_thousand_plugins) {
    stays_flat([](int) {
        Plugin p("general_a");
        p.run();
        p.on(CR_STEP, ACT_NULL_WRITE);
        CHECK_EQ(-1, p.update());
        p.close();
    });
}

#ifdef __linux__
SCENARIO(soak_update_without_check_makes_no_system_call) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.run(10);
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), // the number of the system call
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        skip("this kernel has no system call filters");
    }
    int sum = 0;
    for (int i = 0; i < 1000; ++i) {
        p.orders.on[CR_STEP].value = i;
        sum += cr_plugin_update(p.ctx, false);
    }
    // A check that failed here would say so with a system call, and die of that.
    syscall(SYS_exit_group, sum == 499500 ? 0 : 1);
}

SCENARIO_DIES(soak_system_calls_would_be_noticed, SIGSYS) {
    // The control of the scenario above.
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {sizeof filter / sizeof *filter, filter};
    Plugin p("general_a");
    p.run();
    CHECK_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        skip("this kernel has no system call filters");
    }
    about_to_die();
    p.update(true);
}
#endif
