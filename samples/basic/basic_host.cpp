// A host in C++: the part of a program that keeps running.
//
// Usage: basic_host [guest]. Ctrl-C ends it, and so does a guest whose cr_main returns a positive number.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#define CR_HOST CR_UNSAFE
#include "cr.h"

// Where the guest is; CMake sets it.
#ifndef CR_DEPLOY_PATH
#define CR_DEPLOY_PATH "."
#endif

static volatile std::sig_atomic_t stop = 0;

static void on_signal(int) { stop = 1; }

int main(int argc, char **argv) {
    const char *guest = argc > 1 ? argv[1] : CR_DEPLOY_PATH "/" CR_PLUGIN("basic_guest");

    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);

    cr_plugin ctx;
    if (!cr_plugin_open(ctx, guest)) {
        std::fprintf(stderr, "host: %s\n", cr_plugin_error(&ctx));
        return 1;
    }
    unsigned version = 0;
    unsigned failure = CR_NONE;
    int result = 0;
    while (!stop && result <= 0) {
        // Looks whether the file has changed, too. A negative result is a failure; cr goes back to a version that
        // works, or waits for the file to change.
        result = cr_plugin_update(ctx);
        if (static_cast<unsigned>(ctx.failure) != failure) {
            failure = static_cast<unsigned>(ctx.failure);
            if (failure != CR_NONE) {
                std::printf("host: failure %u: %s\n", failure, cr_plugin_error(&ctx));
            }
        }
        if (ctx.version != version) {
            version = ctx.version;
            std::printf("host: version %u\n", version);
        }
        std::fflush(stdout);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    cr_plugin_close(ctx);
}
