/* A host in C: the part of a program that keeps running.
 *
 * Usage: basic_host_c [guest]. Ctrl-C ends it, and so does a guest whose cr_main returns a positive number. */
#include <signal.h>
#include <stdio.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <time.h>
#endif

#define CR_HOST CR_UNSAFE
#include "cr.h"

/* Where the guest is; CMake sets it. */
#ifndef CR_DEPLOY_PATH
#define CR_DEPLOY_PATH "."
#endif

static volatile sig_atomic_t stop = 0;

static void on_signal(int number) {
    (void)number;
    stop = 1;
}

static void sleep_ms(long ms) {
#ifdef _WIN32
    Sleep((DWORD)ms);
#else
    struct timespec time;
    time.tv_sec = ms / 1000;
    time.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&time, NULL);
#endif
}

int main(int argc, char **argv) {
    const char *guest = argc > 1 ? argv[1] : CR_DEPLOY_PATH "/" CR_PLUGIN("basic_guest");
    struct cr_plugin ctx;
    unsigned version = 0;
    unsigned failure = CR_NONE;
    int result = 0;

    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);

    if (!cr_plugin_open(&ctx, guest)) {
        fprintf(stderr, "host: %s\n", cr_plugin_error(&ctx));
        return 1;
    }
    while (!stop && result <= 0) {
        /* true: look whether the file has changed. A negative result is a failure; cr goes back to a version that
         * works, or waits for the file to change. */
        result = cr_plugin_update(&ctx, true);
        if ((unsigned)ctx.failure != failure) {
            failure = (unsigned)ctx.failure;
            if (failure != CR_NONE) {
                printf("host: failure %u: %s\n", failure, cr_plugin_error(&ctx));
            }
        }
        if (ctx.version != version) {
            version = ctx.version;
            printf("host: version %u\n", version);
        }
        fflush(stdout);
        sleep_ms(10);
    }
    cr_plugin_close(&ctx);
    return 0;
}
