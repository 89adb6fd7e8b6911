// CONTRACT §3 row 1: what crashes outside a guest ends the process as if cr were not there.
#include "crash.h"
#include "fixture.h"

#include <csetjmp>
#ifndef _WIN32
#include <sys/resource.h>
#endif
#include <thread>

namespace {

// A plugin that has loaded, reloaded and recovered from a crash.
struct Experienced : Plugin {
    Experienced() : Plugin("general_a") {
        run();
        run_next("general_b");
        on(CR_STEP, ACT_NULL_WRITE);
        CHECK_EQ(-1, update());
        on(CR_STEP, ACT_RETURN);
        run();
    }
};

void crash_on_a_thread(cr_plugin *, void *) {
    about_to_die();
    std::thread(write_to_null).join();
}

} // namespace

SCENARIO_DIES(r01_crash_of_the_host_after_open_dies_of_it, SIGSEGV) {
    Plugin p("general_a");
    about_to_die();
    write_to_null();
}

SCENARIO_DIES(r01_crash_of_the_host_between_updates_dies_of_it, SIGSEGV) {
    Experienced p;
    about_to_die();
    write_to_null();
}

SCENARIO_DIES(r01_crash_of_the_host_after_close_dies_of_it, SIGSEGV) {
    Experienced p;
    p.close();
    about_to_die();
    write_to_null();
}

SCENARIO_DIES(r01_crash_of_the_host_after_a_crash_in_close_dies_of_it, SIGSEGV) {
    Experienced p;
    Plugin other("general_a", "libother.so"); // keeps the handlers installed
    other.run();
    p.on(CR_CLOSE, ACT_NULL_WRITE);
    p.close();
    about_to_die();
    write_to_null();
}

SCENARIO_DIES(r01_crash_on_a_thread_that_never_entered_dies_of_it, SIGSEGV) {
    Experienced p;
    about_to_die();
    std::thread(write_to_null).join();
}

SCENARIO_DIES(r01_crash_on_a_thread_while_another_is_in_a_guest_dies_of_it, SIGSEGV) {
    Experienced p;
    p.orders.call = crash_on_a_thread;
    p.on(CR_STEP, ACT_CALL);
    p.update();
}

SCENARIO_DIES(r01_crash_on_a_thread_that_was_in_a_guest_dies_of_it, SIGSEGV) {
    Experienced p;
    std::thread([&p] {
        p.run(3);
        about_to_die();
        write_to_null();
    }).join();
}

SCENARIO_DIES(r01_crash_of_the_host_in_an_exception_handler_dies_of_it, SIGSEGV) {
    Plugin p("general_cpp_a");
    p.on(CR_STEP, ACT_THROW, 1);
    try {
        p.update();
    } catch (int) {
        about_to_die();
        write_to_null();
    }
}

SCENARIO_DIES(r01_crash_of_the_host_after_it_left_a_guest_by_longjmp_dies_of_it, SIGSEGV) {
    static jmp_buf out;
    struct Leave {
        static void by_longjmp(cr_plugin *, void *) { longjmp(out, 1); }
    };
    static Plugin *p = new Experienced;
    p->orders.call = Leave::by_longjmp;
    p->on(CR_STEP, ACT_CALL);
    if (setjmp(out) == 0) {
        p->update();
    }
    about_to_die();
    write_to_null();
}

SCENARIO_DIES(r01_abort_of_the_host_dies_of_it, SIGABRT) {
    Experienced p;
    about_to_die();
    std::abort();
}

SCENARIO_DIES(r01_failed_assertion_in_a_log_callback_dies_of_it, SIGABRT) {
    // Called by the library, but no guest's code.
    cr_plugin ctx;
    cr_options options = CR_OPTIONS_INIT;
    options.log = [](void *, cr_log_level, const char *) {
        about_to_die();
        std::abort();
    };
    install("general_a", path_of("libguest.so"));
    CHECK(cr_plugin_open_with(ctx, path_of("libguest.so"), options));
    cr_plugin_update(ctx);
}

SCENARIO_DIES(r01_illegal_instruction_of_the_host_dies_of_it, SIGILL) {
    Experienced p;
    about_to_die();
    fault_illegal();
}

SCENARIO_DIES(r01_division_of_the_host_dies_of_it, SIGFPE) {
    Experienced p;
    about_to_die();
    crash_zero = fault_divide(crash_zero);
}

#ifndef _WIN32
SCENARIO_DIES(r01_raise_of_the_host_dies_of_it, SIGTRAP) {
    Experienced p;
    about_to_die();
    raise(SIGTRAP);
}

SCENARIO_DIES(r01_raise_sigbus_of_the_host_dies_of_it, SIGBUS) {
    Experienced p;
    about_to_die();
    raise(SIGBUS);
}
#endif

SCENARIO_DIES(r01_stack_overflow_of_the_host_dies_of_sigsegv, SIGSEGV) {
    Experienced p;
    about_to_die();
    exhaust_stack(0);
}

SCENARIO_DIES(r01_stack_overflow_of_another_thread_dies_of_sigsegv, SIGSEGV) {
    Experienced p;
    about_to_die();
    std::thread([] { exhaust_stack(0); }).join();
}

#ifndef _WIN32
SCENARIO_DIES(r01_kill_by_another_process_between_updates_dies_of_it, SIGSEGV) {
    Experienced p;
    about_to_die();
    pid_t parent = getpid();
    if (fork() == 0) {
        kill(parent, SIGSEGV);
        _exit(0);
    }
    for (;;) {
        pause();
    }
}

SCENARIO_DIES(r01_kill_by_another_process_inside_a_guest_is_no_crash_of_it, SIGSEGV) {
    struct Kill {
        static void parent(cr_plugin *, void *) {
            pid_t target = getpid();
            about_to_die();
            if (fork() == 0) {
                kill(target, SIGSEGV);
                _exit(0);
            }
            for (;;) {
                pause();
            }
        }
    };
    Experienced p;
    p.orders.call = Kill::parent;
    p.on(CR_STEP, ACT_CALL);
    p.update();
}

SCENARIO(r01_core_is_dumped_exactly_as_without) {
    auto with_core = [](void (*body)()) {
        int status = status_of_child([body] {
            rlimit limit;
            CHECK_EQ(0, getrlimit(RLIMIT_CORE, &limit));
            limit.rlim_cur = limit.rlim_max;
            setrlimit(RLIMIT_CORE, &limit);
            body();
        });
        CHECK_DIES_OF(SIGSEGV, status);
        return WCOREDUMP(status) != 0;
    };
    bool control = with_core([] { write_to_null(); });
    bool with_cr = with_core([] {
        Experienced p;
        write_to_null();
    });
    CHECK_EQ(control, with_cr);
    if (!control) {
        skip("this system dumps no core, so there is nothing to compare");
    }
}
#endif
