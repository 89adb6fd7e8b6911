// CONTRACT §1: the context in the hands of a host, and guests that are built in other ways.
#include "fixture.h"

SCENARIO(s1_userdata_may_be_set_after_open) {
    cr_plugin ctx;
    script orders = {};
    install("general_a", path_of("libguest.so"));
    CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
    ctx.userdata = &orders;
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(2, orders.count);
    cr_plugin_close(ctx);
    CHECK(ctx.userdata == &orders);
}

SCENARIO(s1_userdata_may_change_between_updates) {
    Plugin p("general_a");
    p.run();
    script other = {};
    p.ctx.userdata = &other;
    CHECK_EQ(0, p.update());
    CHECK_EQ(0, p.orders.count);
    CHECK_EQ(1, other.count);
    p.close();
}

SCENARIO(s1_context_may_be_copied_and_moved_after_open) {
    Plugin p("general_a");
    cr_plugin other = p.ctx;
    std::memset(static_cast<void *>(&p.ctx), 0xaa, sizeof p.ctx); // the first is gone
    CHECK_EQ(0, cr_plugin_update(other));
    cr_plugin *heap = new cr_plugin(other);
    std::memset(static_cast<void *>(&other), 0xaa, sizeof other);
    p.install("general_b");
    p.trace();
    CHECK_EQ(0, cr_plugin_update(*heap));
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK_EQ(2, heap->version);
    cr_plugin third = *heap;
    delete heap;
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, cr_plugin_update(third));
    CHECK_EQ(1, third.version);
    cr_plugin fourth = third; // a failure is pending
    p.on(CR_STEP, ACT_RETURN, 2);
    p.trace();
    CHECK_EQ(2, cr_plugin_update(fourth));
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    cr_plugin_close(fourth);
    CHECK(fourth.p == nullptr);
}

SCENARIO(s1_guest_sees_the_context_of_the_call) {
    struct Look {
        static void at(cr_plugin *ctx, void *expected) { CHECK(ctx == expected); }
    };
    Plugin p("general_a");
    p.orders.call = Look::at;
    p.orders.call_data = &p.ctx;
    for (cr_op op : {CR_LOAD, CR_STEP, CR_UNLOAD, CR_CLOSE}) {
        p.on(op, ACT_CALL);
    }
    p.run();
    p.run_next("general_b");
    cr_plugin copy = p.ctx;
    p.orders.call_data = &copy;
    CHECK_EQ(0, cr_plugin_update(copy));
    cr_plugin_close(copy);
}

SCENARIO(s1_guest_may_write_the_context) {
    struct Write {
        static void failure(cr_plugin *ctx, void *) { ctx->failure = CR_USER; }
        static void userdata(cr_plugin *ctx, void *other) { ctx->userdata = other; }
    };
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.orders.call = Write::failure;
    p.on(CR_STEP, ACT_CALL, 3);
    CHECK_EQ(3, p.update());
    CHECK_EQ(CR_USER, p.ctx.failure);
    p.on(CR_STEP, ACT_RETURN, 3);
    p.trace();
    CHECK_EQ(3, p.update());
    CHECK_TRACE("b.load@2!256 b.step@2", p);

    script other = {};
    p.orders.call = Write::userdata;
    p.orders.call_data = &other;
    p.on(CR_STEP, ACT_CALL, 3);
    CHECK_EQ(3, p.update());
    CHECK(p.ctx.userdata == &other);
    CHECK_EQ(0, p.update());
    CHECK_EQ(1, other.count);
    p.close();
}

SCENARIO(s1_guest_without_the_header) {
    Plugin p("no_header_a");
    p.run();
    p.install("no_header_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN, 4);
    p.trace();
    CHECK_EQ(4, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    p.close();
    CHECK_TRACE("a.close@1", p);
}

SCENARIO(s1_guest_in_cpp) {
    Plugin p("general_cpp_a");
    p.run(2);
    p.install("general_cpp_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK_EQ(103, p.orders.state_counter);
    CHECK_EQ(3, p.orders.bss_counter);
    p.close();
}

SCENARIO(s1_old_name_of_open) {
    Plugin p("general_a");
    p.close();
    CHECK(cr_plugin_load(p.ctx, p.path.c_str()));
    p.run();
    CHECK_EQ(1, p.ctx.version);
    p.close();
}

SCENARIO(s1_struct_and_values) {
    const size_t word = sizeof(void *);
    CHECK_EQ(0, offsetof(cr_plugin, p));
    CHECK_EQ(word, offsetof(cr_plugin, userdata));
    CHECK_EQ(2 * word, offsetof(cr_plugin, version));
    CHECK_EQ(2 * word + 4, offsetof(cr_plugin, failure));
    CHECK_EQ(2 * word + 8, offsetof(cr_plugin, next_version));
    CHECK_EQ(2 * word + 12, offsetof(cr_plugin, last_working_version));
    CHECK_EQ(2 * word + 16, sizeof(cr_plugin));
    const int modes[] = {CR_SAFEST, CR_SAFE, CR_UNSAFE, CR_DISABLE};
    const int operations[] = {CR_LOAD, CR_STEP, CR_UNLOAD, CR_CLOSE};
    for (int i = 0; i < 4; ++i) {
        CHECK_EQ(i, modes[i]);
        CHECK_EQ(i, operations[i]);
    }
    const int failures[] = {CR_NONE,      CR_SEGFAULT,        CR_ILLEGAL,       CR_ABORT,
                            CR_MISALIGN,  CR_BOUNDS,          CR_STACKOVERFLOW, CR_STATE_INVALIDATED,
                            CR_BAD_IMAGE, CR_INITIAL_FAILURE, CR_OTHER};
    for (int i = 0; i <= 10; ++i) {
        CHECK_EQ(i, failures[i]);
    }
    CHECK_EQ(0x100, CR_USER);
#ifdef _WIN32
    CHECK_TEXT("name.dll", CR_PLUGIN("name"));
#else
    CHECK_TEXT("libname.so", CR_PLUGIN("name"));
#endif
    cr_plugin_main_func function = nullptr;
    enum cr_op tagged = CR_STEP;
    cr_op plain = tagged;
    (void)function;
    (void)plain;
}
