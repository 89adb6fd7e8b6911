// CONTRACT §3 row 20: crashes in constructors and static destructors of the guest.
#include "crash.h"
#include "fixture.h"

#include <thread>

namespace {

struct Living : Plugin {
    explicit Living(const char *guest) : Plugin(guest) {
        char address[32];
        std::snprintf(address, sizeof address, "%llx", (unsigned long long)(size_t)&orders);
        setenv(SCRIPT_ENVIRONMENT, address, 1);
    }
    void constructor(script_action action, int value = 0) {
        orders.constructor.action = action;
        orders.constructor.value = value;
    }
    void destructor(script_action action, int value = 0) {
        orders.destructor.action = action;
        orders.destructor.value = value;
    }
};

// The dynamic loader's lock is free: it works here and on another thread, and gives images back.
void loader_is_usable() {
    auto use = [] {
        install("general_c", path_of("libanother.so"));
        void *handle = dlopen(path_of("libanother.so"), RTLD_NOW);
        CHECK(handle && dlsym(handle, "cr_main"));
        CHECK_EQ(0, dlclose(handle));
    };
    use();
    std::thread(use).join();
    CHECK_EQ(0, count_mapped("libanother"));
    remove("libanother.so");
}

void constructor_crashes_at_a_reload(script_action action, int failure) {
    Living p("lifetime_a");
    p.run(2);
    p.install("lifetime_b");
    p.constructor(action);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(failure, p.ctx.failure);
    CHECK_EQ(1, p.ctx.version);
    CHECK(*cr_plugin_error(p.ctx));
    CHECK_EQ(0, count_mapped("libguest2"));
    loader_is_usable();
    std::string trace = p.trace();
    CHECK_CONTAINS("a.unload@1 a.destructor a.atexit b.constructor", trace.c_str());
    CHECK(trace.find("b.load") == std::string::npos);
    p.constructor(ACT_RETURN);
    p.on(CR_STEP, ACT_RETURN, 5);
    CHECK_EQ(5, p.update());
    std::string back = "a.constructor a.load@1!" + std::to_string(failure) + " a.step@1";
    CHECK_TRACE(back.c_str(), p);
    CHECK_EQ(5, p.update());
    CHECK_TRACE("a.step@1", p); // the new file counts as seen
    CHECK_EQ(CR_NONE, p.ctx.failure);
    p.touch();
    CHECK_EQ(5, p.update());
    CHECK_TRACE((std::string("a.unload@1 a.destructor a.atexit b.constructor b.load@") + std::to_string(p.ctx.version) +
                 " b.step@" + std::to_string(p.ctx.version))
                    .c_str(),
                p);
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

} // namespace

SCENARIO(r20_segfault_in_a_constructor_at_a_reload) { constructor_crashes_at_a_reload(ACT_NULL_WRITE, CR_SEGFAULT); }

SCENARIO(r20_abort_in_a_constructor_at_a_reload) { constructor_crashes_at_a_reload(ACT_ABORT, CR_ABORT); }

SCENARIO(r20_uncaught_exception_in_a_constructor_at_a_reload) { constructor_crashes_at_a_reload(ACT_THROW, CR_ABORT); }

SCENARIO(r20_division_in_a_constructor_at_a_reload) { constructor_crashes_at_a_reload(ACT_DIVIDE, CR_OTHER + SIGFPE); }

SCENARIO(r20_stack_overflow_in_a_constructor_at_a_reload) {
    constructor_crashes_at_a_reload(ACT_OVERFLOW, CR_STACKOVERFLOW);
}

SCENARIO(r20_crash_in_a_constructor_of_the_first_version) {
    Living p("lifetime_a");
    p.constructor(ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_SEGFAULT, p.ctx.failure);
    CHECK_EQ(0, p.ctx.version);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
    CHECK_EQ(0, count_mapped("libguest"));
    loader_is_usable();
    p.constructor(ACT_RETURN);
    p.install("lifetime_b");
    CHECK_EQ(0, p.update());
    CHECK_EQ(CR_NONE, p.ctx.failure);
    CHECK_EQ('b', p.orders.events[p.orders.count - 1].marker);
    p.close();
}

SCENARIO(r20_crash_in_a_constructor_during_a_rollback) {
    Living p("lifetime_a");
    p.run();
    p.run_next("lifetime_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.constructor(ACT_NULL_WRITE);
    CHECK_EQ(-2, p.update());
    CHECK(p.ctx.failure != CR_NONE);
    loader_is_usable();
    p.constructor(ACT_RETURN);
    p.install("lifetime_b");
    for (int i = 0; i < 3 && p.ctx.failure != CR_NONE; ++i) {
        p.update();
    }
    CHECK_EQ(CR_NONE, p.ctx.failure);
    p.run();
    p.close();
}

SCENARIO(r20_crash_in_a_destructor_at_a_reload) {
    for (script_action action : {ACT_NULL_WRITE, ACT_ABORT, ACT_OVERFLOW}) {
        Living p("lifetime_a");
        p.run(2);
        p.install("lifetime_b");
        p.destructor(action);
        CHECK_EQ(-2, p.update());
        CHECK(p.ctx.failure != CR_NONE);
        CHECK_EQ(1, p.ctx.version);
        CHECK_CONTAINS("destructor", cr_plugin_error(p.ctx));
        CHECK_EQ(0, count_mapped("libguest1"));
        loader_is_usable();
        p.destructor(ACT_RETURN);
        p.trace();
        CHECK_EQ(0, p.update());
        std::string trace = p.trace();
        CHECK_CONTAINS("a.step@1", trace.c_str());
        CHECK_EQ(CR_NONE, p.ctx.failure);
        p.run(3);
        CHECK_EQ(1, p.ctx.version); // the new file counts as seen
        p.touch();
        CHECK_EQ(0, p.update());
        CHECK_EQ(CR_NONE, p.ctx.failure);
        CHECK_EQ('b', p.orders.events[p.orders.count - 1].marker);
        p.close();
    }
}

SCENARIO(r20_destructor_that_always_crashes_can_be_replaced) {
    Living p("lifetime_a");
    p.run();
    p.destructor(ACT_NULL_WRITE);
    for (int i = 0; i < 3 && p.ctx.version == 1; ++i) {
        p.install("lifetime_b");
        p.update();
        p.update();
    }
    CHECK(p.ctx.version > 1);
    p.destructor(ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_EQ('b', p.orders.events[p.orders.count - 1].marker);
    p.close();
}

SCENARIO(r20_crash_in_a_destructor_at_close) {
    for (script_action action : {ACT_NULL_WRITE, ACT_ABORT, ACT_OVERFLOW}) {
        Living p("lifetime_a");
        p.run();
        p.destructor(action);
        p.close();
        CHECK(p.ctx.p == nullptr);
        CHECK_EQ(0, count_mapped("libguest"));
        CHECK_TEXT("libguest.so", list("."));
        loader_is_usable();
    }
}

SCENARIO(r20_crash_in_a_destructor_when_a_crashed_version_goes) {
    Living p("lifetime_a");
    p.run();
    p.run_next("lifetime_b");
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.destructor(ACT_NULL_WRITE);
    for (int i = 0; i < 3 && p.update() != 0; ++i) {
    }
    p.destructor(ACT_RETURN);
    CHECK_EQ(CR_NONE, p.ctx.failure);
    CHECK_EQ(1, p.ctx.version);
    p.run(2);
    loader_is_usable();
    p.close();
}

SCENARIO(r20_crashes_in_constructors_and_destructors_again_and_again) {
    Living p("lifetime_a");
    p.run();
    int maps = 0;
    for (int i = 0; i < 100; ++i) {
        bool odd = i % 2;
        p.install(odd ? "lifetime_a" : "lifetime_b");
        odd ? p.constructor(ACT_NULL_WRITE) : p.destructor(ACT_NULL_WRITE);
        CHECK(p.update() == -2 || !odd); // a destructor that has crashed before need not be told again
        p.constructor(ACT_RETURN);
        p.destructor(ACT_RETURN);
        p.run();
        if (i == 20) {
            maps = count_mapped("");
        }
    }
    CHECK(count_mapped("") <= maps + 2);
    loader_is_usable();
    p.close();
    CHECK_EQ(0, count_mapped("libguest"));
}

SCENARIO(r20_crash_in_a_constructor_on_another_thread) {
    Living p("lifetime_a");
    p.run();
    std::thread([&p] {
        p.install("lifetime_b");
        p.constructor(ACT_NULL_WRITE);
        CHECK_EQ(-2, p.update());
        p.constructor(ACT_RETURN);
    }).join();
    loader_is_usable();
    p.run();
    p.close();
}

#ifndef _WIN32
SCENARIO_DIES(r20_constructor_of_a_library_that_the_host_loads_itself_dies_of_its_fault, SIGSEGV) {
    Living p("lifetime_a");
    p.run();
    p.constructor(ACT_NULL_WRITE);
    install("lifetime_b", path_of("libown.so"));
    about_to_die();
    dlopen(path_of("libown.so"), RTLD_NOW);
}
#endif

SCENARIO(r20_exception_out_of_a_constructor_with_a_catch_in_the_host) {
    // It arrives, or it is a failure; afterwards the plugin and the loader work.
    Living p("lifetime_a");
    p.run();
    p.install("lifetime_b");
    p.constructor(ACT_THROW, 6);
    try {
        CHECK_EQ(-2, p.update());
    } catch (int value) {
        CHECK_EQ(6, value);
    }
    loader_is_usable();
    p.constructor(ACT_RETURN);
    p.install("lifetime_b");
    for (int i = 0; i < 4; ++i) {
        p.update();
    }
    CHECK_EQ(CR_NONE, p.ctx.failure);
    CHECK_EQ(0, p.update());
    CHECK_EQ('b', p.orders.events[p.orders.count - 1].marker);
    p.close();
    CHECK_EQ(0, count_mapped("libguest"));
    CHECK_TEXT("libguest.so", list("."));
}
