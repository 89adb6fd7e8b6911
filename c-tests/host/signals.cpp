// CONTRACT §2: which failure a signal is, the signal mask, and C++ exceptions.
#include "fixture.h"

#include <csignal>

namespace {

// Crashes version 2 in its step, and lets it roll back.
void crashes_with(const char *guest, script_action action, int value, int failure) {
    Plugin p("general_a");
    p.run();
    p.run_next(guest);
    p.on(CR_STEP, action, value);
    CHECK_EQ(-1, p.update());
    CHECK_CONTEXT(p, 1, failure, 3, 1);
    p.on(CR_STEP, ACT_RETURN, 6);
    CHECK_EQ(6, p.update());
    CHECK_CONTEXT(p, 1, CR_NONE, 3, 0);
    p.close();
}

#ifndef _WIN32
bool blocked(int signal) {
    sigset_t mask;
    CHECK_EQ(0, pthread_sigmask(SIG_SETMASK, nullptr, &mask));
    return sigismember(&mask, signal) == 1;
}
#endif

} // namespace

SCENARIO(s2_sigsegv_is_segfault) { crashes_with("general_b", ACT_NULL_WRITE, 0, CR_SEGFAULT); }
SCENARIO(s2_sigill_is_illegal) { crashes_with("general_b", ACT_ILLEGAL, 0, CR_ILLEGAL); }
SCENARIO(s2_sigbus_is_misalign) { crashes_with("general_b", ACT_BUS, 0, CR_MISALIGN); }
SCENARIO(s2_sigabrt_is_abort) { crashes_with("general_b", ACT_ABORT, 0, CR_ABORT); }
#ifndef _WIN32
SCENARIO(s2_raise_in_the_guest_is_a_crash) {
    crashes_with("general_b", ACT_RAISE, SIGSEGV, CR_SEGFAULT);
    crashes_with("general_b", ACT_RAISE, SIGILL, CR_ILLEGAL);
    crashes_with("general_b", ACT_RAISE, SIGBUS, CR_MISALIGN);
    crashes_with("general_b", ACT_RAISE, SIGABRT, CR_ABORT);
}
SCENARIO(s2_kill_of_itself_in_the_guest_is_a_crash) {
    crashes_with("general_b", ACT_KILL_SELF, SIGSEGV, CR_SEGFAULT);
    crashes_with("general_b", ACT_KILL_SELF, SIGABRT, CR_ABORT);
}
#endif
SCENARIO(s2_uncaught_exception_is_abort) { crashes_with("general_cpp_b", ACT_THROW, 1, CR_ABORT); }

#ifndef _WIN32
SCENARIO(s2_signal_mask_after_a_crash_is_the_one_from_before) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGTERM);
    CHECK_EQ(0, pthread_sigmask(SIG_BLOCK, &mask, nullptr));
    Plugin p("general_a");
    p.run();
    for (script_action action : {ACT_NULL_WRITE, ACT_ILLEGAL, ACT_BUS, ACT_ABORT}) {
        p.run_next("general_b");
        p.on(CR_STEP, action);
        CHECK_EQ(-1, p.update());
        CHECK(blocked(SIGUSR1) && blocked(SIGTERM));
        for (int signal : {SIGSEGV, SIGILL, SIGBUS, SIGABRT, SIGUSR2, SIGINT, SIGFPE, SIGTRAP}) {
            CHECK(!blocked(signal));
        }
        p.on(CR_STEP, ACT_RETURN);
        p.run();
    }
    p.close();
}
#endif

SCENARIO(s2_exception_of_the_guest_reaches_the_catch_of_the_host) {
    Plugin p("general_cpp_a");
    p.run();
    p.run_next("general_cpp_b");
    int state = p.orders.state_counter;
    for (int i = 0; i < 3; ++i) {
        p.on(CR_STEP, ACT_THROW, 42 + i);
        int caught = 0;
        try {
            p.update();
        } catch (int value) {
            caught = value;
        }
        CHECK_EQ(42 + i, caught);
        CHECK_TRACE("b.step@2", p);
        CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    }
    p.on(CR_STEP, ACT_RETURN, 8);
    CHECK_EQ(8, p.update());
    CHECK_TRACE("b.step@2", p);
    CHECK_EQ(state + 4, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_crash_after_an_exception_is_still_recovered) {
    Plugin p("general_cpp_a");
    p.run();
    p.run_next("general_cpp_b");
    p.on(CR_STEP, ACT_THROW, 1);
    try {
        p.update();
        CHECK(!"the exception arrives");
    } catch (int) {
    }
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 3, 1);
    p.close();
}

SCENARIO(s2_destructors_of_the_host_run_when_the_guest_throws) {
    struct Note {
        bool &done;
        ~Note() { done = true; }
    };
    Plugin p("general_cpp_a");
    bool done = false;
    p.on(CR_STEP, ACT_THROW, 1);
    try {
        Note note{done};
        p.update();
    } catch (int) {
    }
    CHECK(done);
    p.on(CR_STEP, ACT_RETURN);
    p.run();
    p.close();
}

SCENARIO(s2_exception_out_of_load_leaves_the_new_version_in_place) {
    Plugin p("general_cpp_a");
    p.run();
    p.install("general_cpp_b");
    p.on(CR_LOAD, ACT_THROW, 3);
    int caught = 0;
    try {
        p.update();
    } catch (int value) {
        caught = value;
    }
    CHECK_EQ(3, caught);
    CHECK_TRACE("a.unload@1 b.load@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.on(CR_LOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.step@2", p);
    CHECK_EQ(102, p.orders.state_counter);
    p.close();
}

SCENARIO(s2_exception_out_of_unload_leaves_the_old_version_in_place) {
    Plugin p("general_cpp_a");
    p.run();
    p.install("general_cpp_b");
    p.on(CR_UNLOAD, ACT_THROW, 3);
    int caught = 0;
    try {
        p.update();
    } catch (int value) {
        caught = value;
    }
    CHECK_EQ(3, caught);
    CHECK_TRACE("a.unload@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.on(CR_UNLOAD, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK_EQ(102, p.orders.state_counter);
    p.close();
}
