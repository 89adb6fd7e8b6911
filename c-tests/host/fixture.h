// A plugin with the script that directs its guest: what most C++ scenarios begin with.
//
// In an unnamed namespace: each file may define other cr.h macros, so each has a fixture of its own.
#ifndef CR_TEST_FIXTURE_H
#define CR_TEST_FIXTURE_H

#ifndef CR_HOST
#define CR_HOST
#endif
#include "cr.h"

#include "../guest/script.h"
#include "check.h"
#include "files.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

struct Plugin {
    cr_plugin ctx;
    script orders = {};
    std::string path;

    // Installs the guest under `file` in the scenario's directory and opens it. The context is as dirty as a local
    // variable may be.
    explicit Plugin(const char *guest, const char *file = "libguest.so") {
        char *text = path_of(file);
        path = text;
        std::free(text);
        install(guest);
        open();
    }

    void open() {
        std::memset(static_cast<void *>(&ctx), 0xaa, sizeof ctx);
        ctx.userdata = &orders;
        CHECK(cr_plugin_open(ctx, path.c_str()));
    }

    void install(const char *guest) { ::install(guest, path.c_str()); }
    void touch() { ::touch(path.c_str()); }

    int update(bool reload_check = true) { return cr_plugin_update(ctx, reload_check); }
    void close() { cr_plugin_close(ctx); }

    // What the guest does in an operation from now on.
    void on(cr_op operation, script_action action, int value = 0) {
        orders.on[operation].action = action;
        orders.on[operation].value = value;
    }

    // The calls since the last time, as "marker.call@version!failure": "a.unload@1 b.load@2 b.step@2".
    std::string trace() {
        std::string text;
        for (unsigned i = 0; i < orders.count; ++i) {
            text += (i ? " " : "") + name(orders.events[i]);
        }
        orders.count = 0;
        return text;
    }

    // Steps and forgets the trace: for the parts of a scenario that are only its beginning.
    void run(int times = 1) {
        for (int i = 0; i < times; ++i) {
            CHECK_EQ(orders.on[CR_STEP].value, update());
        }
        trace();
    }

    // Installs another build, and runs it.
    void run_next(const char *guest) {
        install(guest);
        run();
    }

  private:
    static std::string name(const script_event &event) {
        static const char *const operations[] = {"load", "step", "unload", "close"};
        std::string text = std::string(1, event.marker) + ".";
        switch (event.what) {
        case SCRIPT_CONSTRUCTOR:
            return text + "constructor";
        case SCRIPT_DESTRUCTOR:
            return text + "destructor";
        case SCRIPT_ATEXIT:
            return text + "atexit";
        default:
            text += operations[event.what & 3] + ("@" + std::to_string(event.version));
            return event.failure ? text + "!" + std::to_string(event.failure) : text;
        }
    }
};

} // namespace

#define CHECK_TRACE(expected, plugin) CHECK_TEXT(expected, (plugin).trace().c_str())

// The four numbers of a context.
#define CHECK_CONTEXT(plugin, the_version, the_failure, the_next_version, the_last_working_version)                    \
    do {                                                                                                               \
        CHECK_EQ(the_version, (plugin).ctx.version);                                                                   \
        CHECK_EQ(the_failure, (plugin).ctx.failure);                                                                   \
        CHECK_EQ(the_next_version, (plugin).ctx.next_version);                                                         \
        CHECK_EQ(the_last_working_version, (plugin).ctx.last_working_version);                                         \
    } while (0)

#endif
