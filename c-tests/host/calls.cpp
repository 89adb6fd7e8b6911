// Symbols of the guest, guarded calls of its functions, and what the host controls: the guard, generations, reloads.
#include "controlled.h"
#include "crash.h"

#include <thread>

namespace {

cr_guest_func function(cr_plugin &ctx, const char *name) {
    return reinterpret_cast<cr_guest_func>(cr_plugin_symbol(ctx, name));
}

void *word(size_t value) { return reinterpret_cast<void *>(value); }

// What a call returns, or -1 if it did not.
long call(cr_plugin &ctx, const char *name, void *arg = nullptr) {
    void *result = word(77);
    bool returned = cr_plugin_call(ctx, function(ctx, name), arg, &result);
    CHECK(returned || result == word(77));
    return returned ? static_cast<long>(reinterpret_cast<size_t>(result)) : -1;
}

} // namespace

SCENARIO(symbols_of_the_version_that_is_loaded) {
    Plugin p("functions_a");
    CHECK(cr_plugin_symbol(p.ctx, "exported_number") == nullptr);
    p.run();
    CHECK_EQ(17, *static_cast<int *>(cr_plugin_symbol(p.ctx, "exported_number")));
    CHECK(cr_plugin_symbol(p.ctx, "no_such_symbol") == nullptr);
    CHECK(cr_plugin_symbol(p.ctx, nullptr) == nullptr);
    CHECK(cr_plugin_symbol(static_cast<cr_plugin *>(nullptr), "exported_number") == nullptr);
    p.close();
    CHECK(cr_plugin_symbol(p.ctx, "exported_number") == nullptr);
}

SCENARIO(symbols_handles_follow_reloads_and_rollbacks) {
    Plugin p("functions_a");
    cr_symbol *marker = cr_plugin_get_symbol(p.ctx, "marker");
    cr_symbol *only_here = cr_plugin_get_symbol(p.ctx, "only_here");
    cr_symbol *freed_early = cr_plugin_get_symbol(p.ctx, "marker");
    CHECK(marker && only_here && cr_symbol_get(marker) == nullptr);
    p.run();
    auto is = [&](char expected) {
        void *result = nullptr;
        auto current = reinterpret_cast<cr_guest_func>(cr_symbol_get(marker));
        return current && cr_plugin_call(p.ctx, current, nullptr, &result) && result == word(size_t(expected));
    };
    CHECK(is('a'));
    CHECK(cr_symbol_get(only_here) == nullptr);
    cr_symbol_free(freed_early);
    p.run_next("functions_b"); // has only_here
    CHECK(is('b'));
    CHECK(cr_symbol_get(only_here) != nullptr);
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK(is('a'));
    CHECK(cr_symbol_get(only_here) == nullptr);
    p.close();
    CHECK(cr_symbol_get(marker) == nullptr);
    cr_symbol_free(marker);
    cr_symbol_free(only_here);
    cr_symbol_free(nullptr);
    CHECK(cr_symbol_get(nullptr) == nullptr);
    CHECK(cr_plugin_get_symbol(p.ctx, "marker") == nullptr);
}

SCENARIO(calls_return_the_value_of_the_function) {
    Plugin p("functions_a");
    p.run();
    CHECK_EQ(42, call(p.ctx, "add_one", word(41)));
    CHECK(cr_plugin_call(p.ctx, function(p.ctx, "add_one"), nullptr)); // no result wanted
    CHECK(!cr_plugin_call(p.ctx, nullptr, nullptr));
    p.close();
    CHECK(!cr_plugin_call(
        p.ctx, [](void *arg) { return arg; }, nullptr));
    CHECK(!cr_plugin_call(static_cast<cr_plugin *>(nullptr), nullptr, nullptr, nullptr));
}

SCENARIO(calls_that_crash_are_failures_of_the_plugin) {
    Plugin p("functions_a");
    p.run();
    p.run_next("functions_b");
    CHECK_EQ(-1, call(p.ctx, "crash"));
    CHECK_EQ(CR_SEGFAULT, p.ctx.failure);
    CHECK_EQ(1, p.ctx.version);
    CHECK_CONTAINS("guarded call of version 2", cr_plugin_error(p.ctx));
    CHECK_EQ(-1, call(p.ctx, "add_one", word(1))); // nothing is called until the failure is dealt with
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    CHECK_EQ(2, call(p.ctx, "add_one", word(1)));
    p.close();
}

SCENARIO(calls_from_another_thread_that_has_the_plugin_to_itself) {
    Plugin p("functions_a");
    p.run();
    p.run_next("functions_b");
    std::thread([&p] { CHECK_EQ(-1, call(p.ctx, "crash")); }).join();
    CHECK_EQ(0, p.update());
    CHECK_EQ('a', call(p.ctx, "marker"));
    p.close();
}

SCENARIO(calls_from_inside_the_guest_of_the_same_plugin) {
    struct Inner {
        static void crash(cr_plugin *ctx, void *) {
            CHECK_EQ(-1, ::call(*ctx, "crash"));
            CHECK_EQ(CR_SEGFAULT, ctx->failure);
        }
    };
    Plugin p("functions_a");
    p.run();
    p.run_next("functions_b");
    p.orders.call = Inner::crash;
    p.on(CR_STEP, ACT_CALL, 5);
    CHECK_EQ(5, p.update()); // the step itself came to its end
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    p.close();
}

SCENARIO(calls_nested_three_deep_across_two_plugins) {
    static Plugin *first, *second;
    struct Level {
        static void two() { CHECK_EQ(-1, call(second->ctx, "call_back", reinterpret_cast<void *>(three))); }
        static void three() {
            CHECK_EQ(-1, call(first->ctx, "crash"));
            write_to_null(); // in a callback of the second's guest: that call's crash
        }
    };
    Plugin a("functions_a", "libfirst.so"), b("functions_a", "libsecond.so");
    first = &a;
    second = &b;
    a.run();
    b.run();
    a.install("functions_b");
    a.run();
    b.install("functions_b");
    b.run();
    CHECK(call(a.ctx, "call_back", reinterpret_cast<void *>(Level::two)) != -1);
    CHECK_EQ(CR_SEGFAULT, a.ctx.failure);
    CHECK_EQ(CR_SEGFAULT, b.ctx.failure);
    CHECK_EQ(0, a.update());
    CHECK_EQ(0, b.update());
    CHECK_EQ('a', call(a.ctx, "marker"));
    CHECK_EQ('a', call(b.ctx, "marker"));
    a.close();
    b.close();
}

SCENARIO(callbacks_go_to_the_newest_version_with_a_fallback) {
    Plugin p("functions_a");
    cr::callback<void *(void *)> marker(p.ctx, "marker", word(1));
    cr::callback<void *(void *)> crash(p.ctx, "crash", word(2));
    cr::callback<void *(void *)> absent(p.ctx, "no_such_symbol", word(3));
    cr::callback<void(void *)> nothing(p.ctx, "crash");
    CHECK(marker(nullptr) == word(1)); // nothing is loaded yet
    p.run();
    CHECK(marker(nullptr) == word('a'));
    CHECK(absent(nullptr) == word(3));
    // As a toolkit has them: a function and a pointer.
    void *(*function)(void *, void *) = marker.with_data_first;
    CHECK(function(&marker, nullptr) == word('a'));
    function = marker.with_data_last;
    CHECK(function(nullptr, &marker) == word('a'));
    p.run_next("functions_b");
    CHECK(marker(nullptr) == word('b'));
    CHECK(crash(nullptr) == word(2));
    CHECK_EQ(CR_SEGFAULT, p.ctx.failure);
    CHECK(marker(nullptr) == word(1)); // until the failure is dealt with
    CHECK_EQ(0, p.update());
    CHECK(marker(nullptr) == word('a'));
    nothing(nullptr);
    CHECK_EQ(CR_SEGFAULT, p.ctx.failure);
    p.close();
    CHECK(marker(nullptr) == word(1));
}

SCENARIO(calls_that_close_the_plugin_close_it_when_they_return) {
    static Plugin *plugin;
    struct Inner {
        static void close() {
            cr_plugin_close(plugin->ctx);
            CHECK(plugin->ctx.p != nullptr);
        }
    };
    Plugin p("functions_a");
    plugin = &p;
    p.run();
    CHECK(call(p.ctx, "call_back", reinterpret_cast<void *>(Inner::close)) != -1);
    CHECK(p.ctx.p == nullptr);
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO_DIES(control_without_the_guard_a_crash_is_a_crash, SIGSEGV) {
    cr_options options = CR_OPTIONS_INIT;
    options.flags = CR_NO_GUARD;
    Controlled p("general_a", options);
    p.run();
    p.on(CR_STEP, ACT_NULL_WRITE);
    about_to_die();
    p.update();
}

SCENARIO_DIES(control_without_the_guard_inside_a_guarded_plugin, SIGSEGV) {
    static Controlled *unguarded;
    struct Inner {
        static void update(cr_plugin *, void *) {
            about_to_die();
            unguarded->update();
        }
    };
    cr_options options = CR_OPTIONS_INIT;
    options.flags = CR_NO_GUARD;
    Controlled inner("general_a", options);
    inner.run();
    inner.on(CR_STEP, ACT_NULL_WRITE);
    unguarded = &inner;
    Plugin outer("general_a", "libouter.so");
    outer.run();
    outer.orders.call = Inner::update;
    outer.on(CR_STEP, ACT_CALL);
    outer.update();
}

#ifndef _WIN32
SCENARIO(control_without_the_guard_no_handler_is_installed) {
    struct sigaction before, after;
    CHECK_EQ(0, sigaction(SIGSEGV, nullptr, &before));
    cr_options options = CR_OPTIONS_INIT;
    options.flags = CR_NO_GUARD;
    install("general_a", path_of("libguest.so"));
    cr_plugin ctx;
    CHECK(cr_plugin_open_with(ctx, path_of("libguest.so"), options));
    CHECK_EQ(0, sigaction(SIGSEGV, nullptr, &after));
    CHECK(before.sa_handler == after.sa_handler);
    cr_plugin_close(ctx);
}
#endif

SCENARIO(control_kept_generations_leave_literals_readable) {
    cr_options options = CR_OPTIONS_INIT;
    options.keep_generations = 2;
    Controlled p("functions_a", options);
    p.run();
    const char *text = *static_cast<const char **>(cr_plugin_symbol(p.ctx, "exported_text"));
    for (int i = 0; i < 2; ++i) {
        p.run_next(i % 2 ? "functions_a" : "functions_b");
        CHECK_TEXT("a literal of version a", text);
    }
    CHECK(count_mapped("libguest1.so") > 0);
    CHECK(p.told().find("mapped") == std::string::npos); // it was asked for
    p.run_next("functions_b");
    CHECK_EQ(0, count_mapped("libguest1.so"));
    // Back to a version whose image is still there: it begins anew all the same.
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_EQ(101, p.orders.data_counter);
    p.close();
    CHECK_EQ(0, count_mapped("libguest"));
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(control_a_requested_reload_needs_no_change) {
    Plugin p("general_a");
    p.run();
    cr_plugin_request_reload(p.ctx);
    CHECK_EQ(0, p.update(false));
    CHECK_TRACE("a.unload@1 a.load@2 a.step@2", p);
    p.run(2);
    CHECK_EQ(2, p.ctx.version);
    p.close();
    cr_plugin_request_reload(p.ctx);
    cr_plugin_request_reload(static_cast<cr_plugin *>(nullptr));
}

SCENARIO(control_a_reload_inside_the_guest_is_done_when_its_call_returns) {
    struct Inner {
        static void reload(cr_plugin *ctx, void *) { cr_plugin_reload(*ctx); }
    };
    Plugin p("general_a");
    p.run();
    p.install("general_b");
    p.orders.call = Inner::reload;
    p.on(CR_STEP, ACT_CALL, 3);
    CHECK_EQ(3, p.update(false));
    CHECK_TRACE("a.step@1 a.unload@1 b.load@2", p);
    CHECK_EQ(3, p.update(false)); // nothing has changed since
    CHECK_TRACE("b.step@2", p);
    // Of a load it reloads nothing by itself either, and what goes wrong is dealt with by the next update.
    p.install("general_c");
    p.on(CR_LOAD, ACT_NULL_WRITE);
    CHECK_EQ(3, p.update(false));
    CHECK_EQ(CR_SEGFAULT, p.ctx.failure);
    CHECK_TRACE("b.step@2 b.unload@2 c.load@3", p);
    p.on(CR_LOAD, ACT_RETURN);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update(false));
    CHECK_TRACE("b.load@2!1 b.step@2", p);
    p.close();
}

SCENARIO(control_a_reload_inside_the_guest_waits_for_the_outermost_call) {
    static Plugin *plugin;
    struct Inner {
        static void reload() { cr_plugin_reload(plugin->ctx); }
        static void call_back(cr_plugin *ctx, void *) {
            CHECK(::call(*ctx, "call_back", reinterpret_cast<void *>(reload)) != -1);
            CHECK_EQ('a', ::call(*ctx, "marker"));
        }
    };
    Plugin p("functions_a");
    plugin = &p;
    p.run();
    p.install("functions_b");
    p.orders.call = Inner::call_back;
    p.on(CR_STEP, ACT_CALL);
    CHECK_EQ(0, p.update(false));
    CHECK_EQ('b', call(p.ctx, "marker"));
    // A guarded call is the outermost, too.
    p.install("functions_a");
    CHECK(call(p.ctx, "call_back", reinterpret_cast<void *>(Inner::reload)) != -1);
    CHECK_EQ('a', call(p.ctx, "marker"));
    p.close();
}

SCENARIO(control_a_reload_inside_a_call_that_crashes_is_left_to_the_update_after_the_rollback) {
    struct Inner {
        static void reload(cr_plugin *ctx, void *) {
            cr_plugin_reload(*ctx);
            write_to_null();
        }
    };
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.install("general_c");
    p.orders.call = Inner::reload;
    p.on(CR_STEP, ACT_CALL);
    CHECK_EQ(-1, p.update(false));
    p.on(CR_STEP, ACT_RETURN);
    CHECK_TRACE("b.step@2", p);
    CHECK_EQ(0, p.update(false));
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 c.load@3 c.step@3", p);
    p.close();
}

SCENARIO(control_a_reload_inside_the_guest_takes_a_request_along) {
    struct Inner {
        static void request(cr_plugin *ctx, void *) {
            cr_plugin_request_reload(*ctx);
            cr_plugin_reload(*ctx); // the file has not changed
        }
    };
    Plugin p("general_a");
    p.run();
    p.orders.call = Inner::request;
    p.on(CR_STEP, ACT_CALL);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.step@1 a.unload@1 a.load@2", p);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.step@2", p);
    p.close();
}

SCENARIO(control_a_reload_inside_the_guest_gives_way_to_a_close) {
    struct Inner {
        static void both(cr_plugin *ctx, void *) {
            cr_plugin_close(*ctx);
            cr_plugin_reload(*ctx);
        }
    };
    Plugin p("general_a");
    p.run();
    p.install("general_b");
    p.orders.call = Inner::both;
    p.on(CR_STEP, ACT_CALL);
    CHECK_EQ(0, p.update(false));
    CHECK_TRACE("a.step@1 a.close@1", p);
    CHECK(p.ctx.p == nullptr);
}

SCENARIO(control_no_reload_while_a_build_is_under_way) {
    const char *const locks[] = {nullptr, "build.lock", ""};
    for (const char *lock : locks) {
        cr_options options = CR_OPTIONS_INIT;
        options.build_lock = lock;
        const char *file = lock && *lock ? lock : "libguest.so.building";
        write_file(path_of(file), "", 0);
        Controlled p("general_a", options);
        p.run(); // the first load is no reload
        p.run_next("general_b");
        bool locks_nothing = lock && !*lock;
        CHECK_EQ(locks_nothing ? 2 : 1, p.ctx.version);
        remove(path_of(file));
        p.run();
        CHECK_EQ(2, p.ctx.version);
        p.close();
    }
}
