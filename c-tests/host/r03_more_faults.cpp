// CONTRACT §3 row 3: SIGFPE, SIGTRAP and stack overflow are recovered, on every thread, again and again.
#include "fixture.h"

#include <csignal>
#include <pthread.h>
#include <thread>

namespace {

void recovers(Plugin &p, script_action action, int failure) {
    p.ctx.last_working_version = p.ctx.version; // goes back to itself
    p.on(CR_STEP, action);
    CHECK_EQ(-1, p.update());
    CHECK_EQ(failure, p.ctx.failure);
    p.on(CR_STEP, ACT_RETURN, 5);
    CHECK_EQ(5, p.update());
    CHECK_EQ(CR_NONE, p.ctx.failure);
}

void overflows_again_and_again(const char *file) {
    Plugin p("general_a", file);
    p.run();
    for (int i = 0; i < 10; ++i) {
        recovers(p, ACT_OVERFLOW, CR_STACKOVERFLOW);
        recovers(p, ACT_NULL_WRITE, CR_SEGFAULT);
    }
    p.close();
}

// Runs the body on a thread with as little stack as one may reasonably have.
void on_small_stack(void *(*body)(void *)) {
    pthread_t thread;
    pthread_attr_t attributes;
    CHECK_EQ(0, pthread_attr_init(&attributes));
    CHECK_EQ(0, pthread_attr_setstacksize(&attributes, 128 * 1024));
    CHECK_EQ(0, pthread_create(&thread, &attributes, body, nullptr));
    CHECK_EQ(0, pthread_join(thread, nullptr));
    CHECK_EQ(0, pthread_attr_destroy(&attributes));
}

} // namespace

SCENARIO(r03_sigfpe_is_other_plus_signal) {
    Plugin p("general_a");
    p.run();
    for (int i = 0; i < 5; ++i) {
        recovers(p, ACT_DIVIDE, CR_OTHER + SIGFPE);
    }
    p.close();
}

SCENARIO(r03_sigtrap_is_other_plus_signal) {
    Plugin p("general_a");
    p.run();
    for (int i = 0; i < 5; ++i) {
        recovers(p, ACT_TRAP, CR_OTHER + SIGTRAP);
    }
    p.close();
}

SCENARIO(r03_sigfpe_in_version_2_rolls_back) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.on(CR_STEP, ACT_DIVIDE);
    CHECK_EQ(-1, p.update());
    CHECK_CONTEXT(p, 1, CR_OTHER + SIGFPE, 3, 1);
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!18 a.step@1", p);
    p.close();
}

SCENARIO(r03_stack_overflow_on_the_main_thread) { overflows_again_and_again("libguest.so"); }

SCENARIO(r03_stack_overflow_on_another_thread) {
    std::thread([] { overflows_again_and_again("libguest.so"); }).join();
}

SCENARIO(r03_stack_overflow_on_many_threads_one_after_another) {
    int maps = 0;
    for (int i = 0; i < 30; ++i) {
        std::thread([] { overflows_again_and_again("libguest.so"); }).join();
        if (i == 4) {
            maps = count_mapped("");
        }
    }
    CHECK(count_mapped("") <= maps + 2); // alternate stacks go with their threads
}

SCENARIO(r03_stack_overflow_on_two_threads_at_once) {
    std::thread one([] { overflows_again_and_again("libone.so"); });
    std::thread two([] { overflows_again_and_again("libtwo.so"); });
    one.join();
    two.join();
}

SCENARIO(r03_stack_overflow_on_a_small_stack) {
    on_small_stack([](void *) -> void * {
        overflows_again_and_again("libguest.so");
        return nullptr;
    });
}

SCENARIO(r03_stack_overflow_in_load_and_unload) {
    Plugin p("general_a");
    p.run();
    p.install("general_b");
    p.on(CR_LOAD, ACT_OVERFLOW);
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 1, CR_STACKOVERFLOW, 3, 1);
    p.on(CR_LOAD, ACT_RETURN);
    p.run();
    p.run_next("general_c");
    p.touch();
    p.on(CR_UNLOAD, ACT_OVERFLOW);
    CHECK_EQ(-2, p.update());
    CHECK_CONTEXT(p, 1, CR_STACKOVERFLOW, 4, 1);
    p.on(CR_UNLOAD, ACT_RETURN);
    p.run();
    p.on(CR_CLOSE, ACT_OVERFLOW);
    p.close();
    CHECK(p.ctx.p == nullptr);
}

#ifndef _WIN32
SCENARIO(r03_alternate_stack_of_the_host_is_still_its_own_after_close) {
    static char memory[65536];
    stack_t mine = {}, seen = {};
    mine.ss_sp = memory;
    mine.ss_size = sizeof memory;
    CHECK_EQ(0, sigaltstack(&mine, nullptr));
    overflows_again_and_again("libguest.so");
    CHECK_EQ(0, sigaltstack(nullptr, &seen));
    CHECK(seen.ss_sp == memory);
    CHECK_EQ(sizeof memory, seen.ss_size);
}
#endif
