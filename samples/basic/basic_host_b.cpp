// A host with two plugins: each is loaded, reloaded and rolled back on its own.
//
// Ctrl-C ends it, and so does either guest when its cr_main returns a positive number.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#define CR_HOST CR_UNSAFE
#include "cr.h"

// Where the guests are; CMake sets it.
#ifndef CR_DEPLOY_PATH
#define CR_DEPLOY_PATH "."
#endif

static volatile std::sig_atomic_t stop = 0;

static void on_signal(int) { stop = 1; }

namespace {

struct Guest {
    const char *name;
    const char *path;
    cr_plugin ctx;
    unsigned told;
};

// One step; false when the guest wants the program to end.
bool step(Guest &guest) {
    const int result = cr_plugin_update(guest.ctx);
    const unsigned failure = static_cast<unsigned>(guest.ctx.failure);
    if (failure != guest.told && failure != CR_NONE) {
        std::printf("host: %s: failure %u: %s\n", guest.name, failure, cr_plugin_error(&guest.ctx));
    }
    guest.told = failure;
    return result <= 0;
}

} // namespace

int main() {
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);

    // The name of a guest should not end in a digit: the numbered copies of `a1` and `a` could meet.
    Guest guests[] = {
        {"a", CR_DEPLOY_PATH "/" CR_PLUGIN("basic_guest"), cr_plugin(), CR_NONE},
        {"b", CR_DEPLOY_PATH "/" CR_PLUGIN("basic_guest_b"), cr_plugin(), CR_NONE},
    };
    for (Guest &guest : guests) {
        if (!cr_plugin_open(guest.ctx, guest.path)) {
            std::fprintf(stderr, "host: %s\n", cr_plugin_error(&guest.ctx));
            return 1;
        }
    }
    while (!stop) {
        for (Guest &guest : guests) {
            if (!step(guest)) {
                stop = 1;
            }
        }
        std::fflush(stdout);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    for (Guest &guest : guests) {
        cr_plugin_close(guest.ctx);
    }
}
