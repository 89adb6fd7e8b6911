// CONTRACT §3 row 1: a fault inside a guarded call is recovered by that call. Calls nest, threads are independent.
#include "crash.h"
#include "fixture.h"

#include <atomic>
#include <thread>
#include <vector>

namespace {

void crash_in_the_host(cr_plugin *, void *) { write_to_null(); }

int inner_result;

void update_another(cr_plugin *, void *other) { inner_result = static_cast<Plugin *>(other)->update(); }

} // namespace

SCENARIO(r01_crash_in_a_callback_of_the_host_is_the_guests) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.orders.call = crash_in_the_host;
    p.on(CR_STEP, ACT_CALL);
    CHECK_EQ(-1, p.update());
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 3, 1);
    p.close();
}

SCENARIO(r01_nested_crash_is_recovered_by_the_inner_call) {
    Plugin outer("general_a", "libouter.so"), inner("general_a", "libinner.so");
    outer.run();
    inner.run();
    outer.run_next("general_b");
    inner.run_next("general_b");
    outer.orders.call = update_another;
    outer.orders.call_data = &inner;
    outer.on(CR_STEP, ACT_CALL, 7);
    inner.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(7, outer.update());
    CHECK_EQ(-1, inner_result);
    CHECK_CONTEXT(outer, 2, CR_NONE, 3, 1);
    CHECK_CONTEXT(inner, 1, CR_SEGFAULT, 3, 1);

    // The outer call is as well guarded after it as before.
    inner.on(CR_STEP, ACT_RETURN, 1);
    outer.on(CR_STEP, ACT_ABORT);
    CHECK_EQ(-1, outer.update());
    CHECK_CONTEXT(outer, 1, CR_ABORT, 3, 1);
    CHECK_EQ(1, inner.update());
    outer.on(CR_STEP, ACT_CALL, 7);
    inner.on(CR_STEP, ACT_RETURN, 2);
    CHECK_EQ(7, outer.update());
    CHECK_EQ(2, inner_result);
    inner.close();
    outer.close();
}

SCENARIO(r01_outer_crash_after_a_nested_crash_is_recovered_by_the_outer_call) {
    struct Both {
        static void crash(cr_plugin *ctx, void *other) {
            update_another(ctx, other);
            write_to_null();
        }
    };
    Plugin outer("general_a", "libouter.so"), inner("general_a", "libinner.so");
    outer.run();
    inner.run();
    outer.orders.call = Both::crash;
    outer.orders.call_data = &inner;
    for (int i = 0; i < 5; ++i) {
        outer.run_next("general_b");
        inner.run_next("general_b");
        outer.on(CR_STEP, ACT_CALL);
        inner.on(CR_STEP, ACT_OVERFLOW);
        CHECK_EQ(-1, outer.update());
        CHECK_EQ(-1, inner_result);
        CHECK_EQ(CR_SEGFAULT, outer.ctx.failure);
        CHECK_EQ(CR_STACKOVERFLOW, inner.ctx.failure);
        outer.on(CR_STEP, ACT_RETURN);
        inner.on(CR_STEP, ACT_RETURN);
        outer.run();
        inner.run();
    }
    inner.close();
    outer.close();
}

SCENARIO(r01_guest_that_opens_and_closes_another_plugin) {
    struct Whole {
        static void life(cr_plugin *, void *) {
            Plugin other("general_a", "libother.so");
            other.run();
            other.run_next("general_b");
            other.on(CR_STEP, ACT_NULL_WRITE);
            CHECK_EQ(-1, other.update());
            other.close();
        }
    };
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.orders.call = Whole::life;
    p.on(CR_STEP, ACT_CALL, 4);
    CHECK_EQ(4, p.update());
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 3, 1);
    p.close();
}

SCENARIO(r01_exception_through_a_nested_call_leaves_the_outer_guarded) {
    struct Through {
        static void inner(cr_plugin *, void *other) {
            try {
                static_cast<Plugin *>(other)->update();
                CHECK(!"the exception arrives");
            } catch (int value) {
                CHECK_EQ(5, value);
            }
            write_to_null();
        }
    };
    Plugin outer("general_a", "libouter.so"), inner("general_cpp_a", "libinner.so");
    outer.run();
    outer.run_next("general_b");
    inner.run();
    inner.on(CR_STEP, ACT_THROW, 5);
    outer.orders.call = Through::inner;
    outer.orders.call_data = &inner;
    outer.on(CR_STEP, ACT_CALL);
    CHECK_EQ(-1, outer.update());
    CHECK_CONTEXT(outer, 1, CR_SEGFAULT, 3, 1);
    CHECK_CONTEXT(inner, 1, CR_NONE, 2, 0);
    outer.close();
    inner.on(CR_STEP, ACT_RETURN);
    inner.run();
    inner.close();
}

SCENARIO(r01_threads_crash_independently) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        std::string file = "libthread_" + std::to_string(t) + "_.so";
        auto *p = new Plugin("general_a", file.c_str());
        threads.emplace_back([p, t] {
            const script_action crashes[] = {ACT_NULL_WRITE, ACT_ILLEGAL, ACT_ABORT, ACT_OVERFLOW};
            const int failures[] = {CR_SEGFAULT, CR_ILLEGAL, CR_ABORT, CR_STACKOVERFLOW};
            p->run();
            for (int i = 0; i < 100; ++i) {
                p->ctx.last_working_version = p->ctx.version; // goes back to itself
                p->on(CR_STEP, crashes[t]);
                CHECK_EQ(-1, p->update());
                CHECK_EQ(failures[t], p->ctx.failure);
                p->on(CR_STEP, ACT_RETURN, t);
                CHECK_EQ(t, p->update());
                CHECK_EQ(CR_NONE, p->ctx.failure);
            }
            p->close();
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
}

SCENARIO(r01_plugin_may_wander_between_threads) {
    Plugin p("general_a");
    p.run();
    for (int i = 0; i < 20; ++i) {
        std::thread([&p, i] {
            p.run_next(i % 2 ? "general_a" : "general_b");
            p.on(CR_STEP, i % 3 ? ACT_NULL_WRITE : ACT_OVERFLOW);
            CHECK_EQ(-1, p.update());
            CHECK_EQ(i % 3 ? CR_SEGFAULT : CR_STACKOVERFLOW, p.ctx.failure);
            p.on(CR_STEP, ACT_RETURN);
        }).join();
        p.run();
    }
    p.close();
}

SCENARIO(r01_two_threads_inside_guests_at_once) {
    // One waits inside its guest while the other crashes in its own, again and again.
    struct Wait {
        static void until(cr_plugin *, void *flag) {
            while (!*static_cast<std::atomic<bool> *>(flag)) {
                std::this_thread::yield();
            }
        }
    };
    Plugin waiting("general_a", "libwaiting.so"), crashing("general_a", "libcrashing.so");
    std::atomic<bool> done{false};
    waiting.orders.call = Wait::until;
    waiting.orders.call_data = &done;
    waiting.on(CR_STEP, ACT_CALL, 9);
    std::thread waiter([&waiting] { CHECK_EQ(9, waiting.update()); });
    crashing.run();
    for (int i = 0; i < 50; ++i) {
        crashing.ctx.last_working_version = crashing.ctx.version;
        crashing.on(CR_STEP, ACT_NULL_WRITE);
        CHECK_EQ(-1, crashing.update());
        crashing.on(CR_STEP, ACT_RETURN);
        crashing.run();
    }
    done = true;
    waiter.join();
    CHECK_CONTEXT(waiting, 1, CR_NONE, 2, 0);
    waiting.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, waiting.update());
    waiting.close();
    crashing.close();
}

SCENARIO(r01_update_of_the_own_plugin_inside_the_guest_is_only_a_step) {
    struct Nest {
        static void again(cr_plugin *ctx, void *data) {
            Plugin &p = *static_cast<Plugin *>(data);
            p.on(CR_STEP, ACT_RETURN, 5);
            p.install("general_b"); // not now
            CHECK_EQ(5, cr_plugin_update(*ctx));
        }
    };
    Plugin p("general_a");
    p.orders.call = Nest::again;
    p.orders.call_data = &p;
    p.on(CR_STEP, ACT_CALL, 6);
    p.update();
    CHECK_TRACE("a.load@1 a.step@1 a.step@1", p);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    CHECK_EQ(5, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
}

SCENARIO(r01_close_inside_the_guest_happens_when_its_call_returns) {
    struct Close {
        static void itself(cr_plugin *ctx, void *) { cr_plugin_close(*ctx); }
    };
    Plugin p("general_a");
    p.orders.call = Close::itself;
    p.on(CR_STEP, ACT_CALL, 3);
    CHECK_EQ(3, p.update());
    CHECK(p.ctx.p == nullptr);
    CHECK_EQ(0, p.ctx.version);
    CHECK_EQ(0, count_mapped("libguest"));
    CHECK_TEXT("libguest.so", list("."));
    CHECK_EQ(-2, p.update());
    p.close();
    p.on(CR_STEP, ACT_RETURN);
    p.open();
    p.run();
    p.close();
}

SCENARIO(r01_other_calls_for_the_own_plugin_inside_the_guest_do_nothing_to_it) {
    struct Meddle {
        static void all(cr_plugin *ctx, void *data) {
            static_cast<Plugin *>(data)->install("general_b");
            cr_plugin_reload(*ctx);
            CHECK(!cr_plugin_rollback(*ctx));
            CHECK_EQ(0, cr_plugin_unload(*ctx, false, false));
            CHECK_EQ(0, cr_plugin_unload(*ctx, true, false));
        }
    };
    Plugin p("general_a");
    p.orders.call = Meddle::all;
    p.orders.call_data = &p;
    p.on(CR_STEP, ACT_CALL, 6);
    CHECK_EQ(6, p.update());
    // The reload, when its call has returned.
    CHECK_TRACE("a.load@1 a.step@1 a.unload@1 b.load@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.step@2", p);
    p.close();
}
