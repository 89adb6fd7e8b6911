// CR_GUARD_HANG: a step that does not end is interrupted, but only in the guest's own code.
#if defined(__linux__) || defined(_WIN32)
#include "controlled.h"

#include "../guest/crashing.h"

#include <chrono>
#include <csignal>
#include <mutex>
#include <pthread.h>
#include <thread>
#ifdef _WIN32
#define SIGALRM 14 // on every system
#else
#include <sys/time.h>
#endif

namespace {

cr_options limited(unsigned milliseconds) {
    cr_options options = CR_OPTIONS_INIT;
    options.flags = CR_GUARD_HANG;
    options.hang_limit_ms = milliseconds;
    return options;
}

struct Hanging {
    cr_plugin ctx;
    crashing orders = {-1, CRASH_NOT, nullptr};

    explicit Hanging(const char *file = "libguest.so", unsigned milliseconds = 30) {
        install("crashing_o2", path_of(file));
        ctx.userdata = &orders;
        CHECK(cr_plugin_open_with(ctx, path_of(file), limited(milliseconds)));
        CHECK_EQ(0, cr_plugin_update(ctx));
        touch(path_of(file));
        CHECK_EQ(0, cr_plugin_update(ctx));
    }
    ~Hanging() { cr_plugin_close(ctx); }

    int step(crash_kind kind) {
        orders.operation = CR_STEP;
        orders.kind = kind;
        int result = cr_plugin_update(ctx);
        orders.operation = -1;
        return result;
    }

    void hangs() {
        CHECK_EQ(-1, step(HANG));
        CHECK_EQ(CR_OTHER + SIGALRM, ctx.failure);
        CHECK_CONTAINS("time limit", cr_plugin_error(ctx));
        CHECK_CONTAINS("CR_STEP", cr_plugin_error(ctx));
    }
};

void sleep_for(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

// A lock that somebody holds for a while.
struct Lock {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    std::thread holder;

    explicit Lock(int milliseconds) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
        volatile bool held = false;
        holder = std::thread([this, milliseconds, &held] {
            pthread_mutex_lock(&mutex);
            held = true;
            sleep_for(milliseconds);
            pthread_mutex_unlock(&mutex);
        });
        while (!held) {
            sleep_for(1);
        }
    }
    ~Lock() { holder.join(); }
};

} // namespace

SCENARIO(hang_is_interrupted_and_rolled_back) {
    Hanging p;
    p.hangs();
    CHECK_EQ(1, p.ctx.version);
    const cr_crash *crash = cr_plugin_crash(p.ctx);
    CHECK(crash && crash->code == SIGALRM && crash->frame_count >= 2);
    CHECK_CONTAINS("loop", crash->frames[0]->function);
    CHECK_CONTAINS("cr_main", crash->frames[crash->frame_count - 1]->function);
    CHECK_EQ(0, cr_plugin_update(p.ctx));
    CHECK_EQ(CR_NONE, p.ctx.failure);
}

SCENARIO(hang_is_interrupted_again_and_again_and_on_each_thread) {
    Hanging p;
    auto hang = [&p] {
        for (int i = 0; i < 3; ++i) {
            touch(path_of("libguest.so"));
            CHECK_EQ(0, cr_plugin_update(p.ctx));
            p.hangs();
            CHECK_EQ(0, cr_plugin_update(p.ctx));
        }
    };
    hang();
    std::thread(hang).join();
    hang();
}

SCENARIO(hang_inside_a_lock_is_waited_for) {
    Hanging p;
    Lock lock(200);
    p.orders.lock = &lock.mutex;
    CHECK_EQ(7, p.step(HANG_LOCKED));
    CHECK_EQ(CR_NONE, p.ctx.failure);
}

SCENARIO(hang_after_a_lock_is_interrupted_when_the_guest_is_in_its_own_code_again) {
    Hanging p;
    Lock lock(200);
    p.orders.lock = &lock.mutex;
    CHECK_EQ(-1, p.step(HANG_AFTER_LOCK));
    CHECK_EQ(CR_OTHER + SIGALRM, p.ctx.failure);
    CHECK_EQ(0, pthread_mutex_trylock(&lock.mutex)); // nobody has been interrupted with it
    pthread_mutex_unlock(&lock.mutex);
}

SCENARIO(hang_of_the_host_is_waited_for) {
    struct Slow {
        static void work(cr_plugin *, void *) {
            auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
            while (std::chrono::steady_clock::now() < end) {
            }
        }
    };
    Controlled p("general_a", limited(30));
    p.run();
    p.orders.call = Slow::work;
    p.on(CR_STEP, ACT_CALL, 5);
    CHECK_EQ(5, p.update());
    CHECK_EQ(CR_NONE, p.ctx.failure);
    p.close();
}

SCENARIO(hang_of_another_plugin_inside_a_step_is_its_own) {
    static Hanging *inner;
    struct Inner {
        static void update(cr_plugin *, void *) { inner->hangs(); }
    };
    Hanging hanging("libinner.so", 150);
    inner = &hanging;
    Controlled outer("general_a", limited(30)); // its time is over long before
    outer.run();
    outer.orders.call = Inner::update;
    outer.on(CR_STEP, ACT_CALL, 5);
    CHECK_EQ(5, outer.update());
    CHECK_EQ(CR_NONE, outer.ctx.failure);
    outer.close();
}

SCENARIO(hang_limit_leaves_other_steps_and_calls_alone) {
    Hanging p("libguest.so", 20);
    for (int i = 0; i < 1000; ++i) {
        CHECK_EQ(0, cr_plugin_update(p.ctx));
    }
    sleep_for(50); // no timer is left behind
    CHECK_EQ(0, cr_plugin_update(p.ctx, false));
    CHECK_EQ(CR_NONE, p.ctx.failure);
    std::thread([&p] { CHECK_EQ(0, cr_plugin_update(p.ctx)); }).join();
}

#ifndef _WIN32
SCENARIO(hang_limit_leaves_the_alarms_of_the_host_alone) {
    static volatile sig_atomic_t alarms = 0;
    std::signal(SIGALRM, [](int) { alarms = alarms + 1; });
    itimerval time = {{0, 10000}, {0, 10000}};
    CHECK_EQ(0, setitimer(ITIMER_REAL, &time, nullptr));
    Hanging p("libguest.so", 100);
    p.hangs();
    CHECK(alarms > 2);
    sigset_t mask;
    CHECK_EQ(0, pthread_sigmask(SIG_SETMASK, nullptr, &mask));
    for (int signal = 1; signal < SIGRTMAX; ++signal) {
        CHECK(sigismember(&mask, signal) != 1);
    }
}

SCENARIO(hang_limit_leaves_no_handler_behind) {
    struct sigaction before[65], after;
    for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) {
        sigaction(signal, nullptr, &before[signal]);
    }
    { Hanging p; }
    for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) {
        sigaction(signal, nullptr, &after);
        CHECK(after.sa_handler == before[signal].sa_handler);
    }
}

#endif

SCENARIO(hang_limit_needs_the_guard) {
    cr_options options = limited(30);
    options.flags |= CR_NO_GUARD;
    install("crashing_o2", path_of("libguest.so"));
    cr_plugin ctx;
    CHECK(!cr_plugin_open_with(ctx, path_of("libguest.so"), options));
    CHECK_CONTAINS("CR_GUARD_HANG", cr_plugin_error(ctx));
}

#endif
