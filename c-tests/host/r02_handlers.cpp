// CONTRACT §3 row 2: handlers that were there before are chained, and restored when the last plugin closes.
#ifndef _WIN32
#include "crash.h"
#include "fixture.h"

#include <csetjmp>

namespace {

const int guarded[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};

sigjmp_buf out;
volatile int handled, handled_code;
void *volatile handled_address;

void leap_out(int signal, siginfo_t *info, void *context) {
    handled = signal;
    handled_code = info->si_code;
    handled_address = info->si_addr;
    CHECK(context != nullptr);
    siglongjmp(out, 1);
}

void leap_out_plainly(int signal) {
    handled = signal;
    siglongjmp(out, 1);
}

void count(int) { ++handled; }

void set_handler(int signal, void (*handler)(int, siginfo_t *, void *), int flags = 0) {
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | flags;
    CHECK_EQ(0, sigaction(signal, &action, nullptr));
}

struct sigaction current(int signal) {
    struct sigaction action = {};
    CHECK_EQ(0, sigaction(signal, nullptr, &action));
    return action;
}

void recovers(Plugin &p, script_action action, int failure) {
    p.ctx.last_working_version = p.ctx.version;
    p.on(CR_STEP, action);
    CHECK_EQ(-1, p.update());
    CHECK_EQ(failure, p.ctx.failure);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
}

} // namespace

SCENARIO(r02_handler_from_before_gets_the_faults_of_the_host) {
    set_handler(SIGSEGV, leap_out);
    Plugin p("general_a");
    p.run();
    for (int i = 0; i < 3; ++i) {
        handled = 0;
        handled_address = &p;
        if (sigsetjmp(out, 1) == 0) {
            write_to_null();
        }
        CHECK_EQ(SIGSEGV, handled);
        CHECK_EQ(SEGV_MAPERR, handled_code);
        CHECK(handled_address == nullptr);
        handled = 0;
        recovers(p, ACT_NULL_WRITE, CR_SEGFAULT);
        CHECK_EQ(0, handled); // not asked for what is the guest's
    }
    p.close();
}

SCENARIO(r02_plain_handler_from_before_gets_the_faults_of_the_host) {
    signal(SIGSEGV, leap_out_plainly);
    Plugin p("general_a");
    p.run();
    if (sigsetjmp(out, 1) == 0) {
        write_to_null();
    }
    CHECK_EQ(SIGSEGV, handled);
    recovers(p, ACT_NULL_WRITE, CR_SEGFAULT);
    p.close();
}

SCENARIO(r02_handler_from_before_that_returns_goes_on_where_it_was) {
    signal(SIGTRAP, count);
    Plugin p("general_a");
    p.run();
    handled = 0;
    raise(SIGTRAP);
    raise(SIGTRAP);
    CHECK_EQ(2, handled);
    recovers(p, ACT_TRAP, CR_OTHER + SIGTRAP);
    CHECK_EQ(2, handled);
    p.close();
}

SCENARIO(r02_handler_from_before_runs_under_its_own_mask) {
    struct Look {
        static void at_mask(int) {
            sigset_t mask;
            CHECK_EQ(0, sigprocmask(SIG_SETMASK, nullptr, &mask));
            if (!sigismember(&mask, SIGUSR1) && handled == 0) {
                // Before this library has done anything: QEMU 7.2, for RISC-V.
                skip("handlers do not get their mask");
            }
            CHECK(sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGTRAP) && !sigismember(&mask, SIGUSR2));
            ++handled;
        }
    };
    struct sigaction action = {};
    action.sa_handler = Look::at_mask;
    sigaddset(&action.sa_mask, SIGUSR1);
    CHECK_EQ(0, sigaction(SIGTRAP, &action, nullptr));
    raise(SIGTRAP);
    CHECK_EQ(1, handled);
    Plugin p("general_a");
    p.run();
    raise(SIGTRAP);
    CHECK_EQ(2, handled);
    sigset_t mask;
    CHECK_EQ(0, sigprocmask(SIG_SETMASK, nullptr, &mask));
    CHECK(!sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGTRAP));
    p.close();
}

SCENARIO_DIES(r02_one_shot_handler_from_before_is_called_once, SIGTRAP) {
    struct sigaction action = {};
    action.sa_handler = count;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    CHECK_EQ(0, sigaction(SIGTRAP, &action, nullptr));
    Plugin p("general_a");
    p.run();
    raise(SIGTRAP);
    CHECK_EQ(1, handled);
    recovers(p, ACT_TRAP, CR_OTHER + SIGTRAP);
    CHECK_EQ(1, handled);
    about_to_die();
    raise(SIGTRAP);
}

SCENARIO(r02_handler_on_a_stack_of_its_own_gets_a_stack_overflow_of_the_host) {
    static char memory[65536];
    stack_t mine = {};
    mine.ss_sp = memory;
    mine.ss_size = sizeof memory;
    CHECK_EQ(0, sigaltstack(&mine, nullptr));
    set_handler(SIGSEGV, leap_out, SA_ONSTACK);
    Plugin p("general_a");
    p.run();
    for (int i = 0; i < 3; ++i) {
        handled = 0;
        if (sigsetjmp(out, 1) == 0) {
            exhaust_stack(0);
        }
        CHECK_EQ(SIGSEGV, handled);
        recovers(p, ACT_OVERFLOW, CR_STACKOVERFLOW);
    }
    p.close();
}

SCENARIO(r02_ignored_signal_stays_ignored) {
    signal(SIGTRAP, SIG_IGN);
    signal(SIGFPE, SIG_IGN);
    Plugin p("general_a");
    p.run();
    raise(SIGTRAP);
    raise(SIGFPE);
    p.run();
    p.close();
    CHECK(current(SIGTRAP).sa_handler == SIG_IGN);
}

SCENARIO_DIES(r02_ignored_fault_of_the_host_dies_of_it, SIGSEGV) {
    // The kernel does not let a real fault be ignored; nor must a handler in between.
    signal(SIGSEGV, SIG_IGN);
    Plugin p("general_a");
    p.run();
    about_to_die();
    write_to_null();
}

SCENARIO(r02_handler_from_before_gets_a_fault_sent_by_another_process) {
    struct Kill {
        static void parent(cr_plugin *, void *) {
            pid_t target = getpid();
            CHECK_EQ(0, status_of_child([target] { kill(target, SIGSEGV); }));
        }
    };
    signal(SIGSEGV, count);
    Plugin p("general_a");
    p.run();
    handled = 0;
    p.orders.call = Kill::parent;
    p.on(CR_STEP, ACT_CALL, 8);
    CHECK_EQ(8, p.update());
    CHECK_EQ(1, handled);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.close();
}

SCENARIO(r02_handlers_are_restored_when_the_last_plugin_closes) {
    const int flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | static_cast<int>(SA_RESETHAND);
    set_handler(SIGSEGV, leap_out, SA_RESTART | SA_NODEFER);
    signal(SIGBUS, count);
    struct sigaction before[sizeof guarded / sizeof *guarded];
    int i = 0;
    for (int signal : guarded) {
        before[i++] = current(signal);
    }
    for (int round = 0; round < 3; ++round) {
        Plugin p("general_a", "libone.so"), q("general_a", "libtwo.so");
        p.run();
        q.run();
        p.close();
        recovers(q, ACT_NULL_WRITE, CR_SEGFAULT);
        q.close();
        i = 0;
        for (int signal : guarded) {
            struct sigaction after = current(signal);
            CHECK(before[i].sa_sigaction == after.sa_sigaction);
            CHECK_EQ(before[i].sa_flags & flags, after.sa_flags & flags);
            CHECK_EQ(sigismember(&before[i].sa_mask, SIGUSR1), sigismember(&after.sa_mask, SIGUSR1));
            ++i;
        }
    }
}

SCENARIO(r02_handler_that_the_host_set_later_is_left_alone_at_close) {
    Plugin p("general_a");
    p.run();
    set_handler(SIGSEGV, leap_out);
    p.close();
    CHECK(current(SIGSEGV).sa_sigaction == leap_out);
    CHECK(current(SIGBUS).sa_handler == SIG_DFL);
    if (sigsetjmp(out, 1) == 0) {
        write_to_null();
    }
    CHECK_EQ(SIGSEGV, handled);
}

SCENARIO(r02_handler_that_the_host_set_later_may_chain_to_ours) {
    // As a crash reporter does that is installed after the first plugin was opened.
    static struct sigaction ours;
    struct Reporter {
        static void handler(int signal, siginfo_t *info, void *context) {
            ++handled;
            ours.sa_sigaction(signal, info, context);
        }
    };
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    ours = current(SIGSEGV);
    CHECK(ours.sa_flags & SA_SIGINFO);
    set_handler(SIGSEGV, Reporter::handler, SA_ONSTACK | SA_NODEFER);
    handled = 0;
    recovers(p, ACT_NULL_WRITE, CR_SEGFAULT);
    CHECK_EQ(1, handled);
    recovers(p, ACT_NULL_WRITE, CR_SEGFAULT);
    CHECK_EQ(2, handled);
    p.close();
}

SCENARIO(r02_open_and_close_a_hundred_times) {
    for (int i = 0; i < 100; ++i) {
        Plugin p("general_a");
        p.run();
        recovers(p, ACT_NULL_WRITE, CR_SEGFAULT);
        p.close();
        CHECK(current(SIGSEGV).sa_handler == SIG_DFL);
    }
}

#endif
