/* CONTRACT §3 row 1, for a library that was loaded with dlopen: a program of its own, linked with nothing of cr.
 *
 * It also watches the allocator, for a signal handler must not allocate: the fault may have come from within malloc.
 * The thread-local variables of a library that was loaded late are allocated when a thread first uses them. */
#include "cr.h"

#include "../guest/script.h"
#include "check.h"
#include "files.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool (*open_plugin)(struct cr_plugin *, const char *);
static int (*update_plugin)(struct cr_plugin *, bool);
static void (*close_plugin)(struct cr_plugin *);

static struct script orders;
static struct cr_plugin ctx;
static __thread volatile int crashing;
static volatile int zero;

#ifdef __GLIBC__
/* glibc's own, behind the interposed ones. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void not_while_crashing(void) {
    if (crashing) {
        static const char text[] = "memory was allocated in a signal handler\n";
        if (write(2, text, sizeof text - 1) < 0) {
            _exit(4);
        }
        _exit(3);
    }
}

void *malloc(size_t size) {
    not_while_crashing();
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    not_while_crashing();
    return __libc_calloc(count, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    not_while_crashing();
    return __libc_memalign(alignment, size);
}
#endif

static void *load(void) {
    void *library = dlopen(getenv("CR_TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        check_failed(__FILE__, __LINE__, "%s", dlerror());
    }
    *(void **)&open_plugin = dlsym(library, "cr_plugin_open");
    *(void **)&update_plugin = dlsym(library, "cr_plugin_update");
    *(void **)&close_plugin = dlsym(library, "cr_plugin_close");
    CHECK(open_plugin && update_plugin && close_plugin);
    return library;
}

/* A plugin that has run and recovered. */
static void *load_and_run(void) {
    void *library = load();
    ctx.userdata = &orders;
    install("general_a", path_of("libguest.so"));
    CHECK(open_plugin(&ctx, path_of("libguest.so")));
    CHECK_EQ(0, update_plugin(&ctx, true));
    install("general_b", path_of("libguest.so"));
    CHECK_EQ(0, update_plugin(&ctx, true));
    orders.on[CR_STEP].action = ACT_NULL_WRITE;
    CHECK_EQ(-1, update_plugin(&ctx, true));
    CHECK_EQ(CR_SEGFAULT, ctx.failure);
    orders.on[CR_STEP].action = ACT_RETURN;
    CHECK_EQ(0, update_plugin(&ctx, true));
    return library;
}

static void *crash(void *unused) {
    about_to_die();
    crashing = 1;
    *(volatile int *)(size_t)zero = 1;
    return unused;
}

static int exhaust_stack(int depth) {
    volatile char block[512];
    block[depth % 512] = (char)depth;
    return zero == 1 ? depth : exhaust_stack(depth + 1) + block[0];
}

static void *overflow(void *unused) {
    about_to_die();
    crashing = 1;
    exhaust_stack(0);
    return unused;
}

static void on_thread(void *(*body)(void *)) {
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, body, NULL));
    CHECK_EQ(0, pthread_join(thread, NULL));
}

SCENARIO(dlopen_library_lives_the_whole_cycle) {
    void *library = load_and_run();
    CHECK_EQ(1, ctx.version);
    close_plugin(&ctx);
    CHECK_TEXT("libguest.so", list("."));
    CHECK_EQ(0, dlclose(library));
}

static void *overflow_in_the_guest(void *unused) {
    orders.on[CR_STEP].action = ACT_OVERFLOW;
    ctx.last_working_version = ctx.version;
    CHECK_EQ(-1, update_plugin(&ctx, true));
    CHECK_EQ(CR_STACKOVERFLOW, ctx.failure);
    orders.on[CR_STEP].action = ACT_RETURN;
    CHECK_EQ(0, update_plugin(&ctx, true));
    return unused;
}

SCENARIO(dlopen_crashes_on_threads_are_recovered) {
    int i;
    load_and_run();
    for (i = 0; i < 5; ++i) {
        on_thread(overflow_in_the_guest);
        overflow_in_the_guest(NULL);
    }
    close_plugin(&ctx);
}

SCENARIO_DIES(dlopen_crash_of_the_host_dies_of_it, SIGSEGV) {
    load_and_run();
    crash(NULL);
}

SCENARIO_DIES(dlopen_crash_on_a_thread_that_never_entered_dies_of_it, SIGSEGV) {
    load_and_run();
    on_thread(crash);
}

SCENARIO_DIES(dlopen_stack_overflow_on_a_thread_that_never_entered_dies_of_it, SIGSEGV) {
    load_and_run();
    on_thread(overflow);
}

static void *wait_and_crash(void *lock) {
    pthread_mutex_lock((pthread_mutex_t *)lock);
    return crash(NULL);
}

SCENARIO_DIES(dlopen_crash_on_a_thread_that_is_older_than_the_library_dies_of_it, SIGSEGV) {
    pthread_t thread;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    CHECK_EQ(0, pthread_mutex_lock(&lock));
    CHECK_EQ(0, pthread_create(&thread, NULL, wait_and_crash, &lock));
    load_and_run();
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

SCENARIO_DIES(dlopen_crash_after_the_library_has_gone_dies_of_it, SIGSEGV) {
    void *library = load_and_run();
    close_plugin(&ctx);
    dlclose(library);
    crash(NULL);
}

SCENARIO_DIES(dlopen_crash_on_a_thread_after_the_library_has_gone_dies_of_it, SIGSEGV) {
    void *library = load_and_run();
    close_plugin(&ctx);
    dlclose(library);
    on_thread(crash);
}

static void *live(void *unused) {
    void *library = load_and_run();
    close_plugin(&ctx);
    memset(&orders, 0, sizeof orders);
    dlclose(library);
    return unused;
}

SCENARIO(dlopen_library_may_go_while_a_thread_that_used_it_lives) {
    /* What a thread leaves behind must not be cleaned up by code that is gone. */
    int i;
    for (i = 0; i < 5; ++i) {
        on_thread(live);
        live(NULL);
    }
}
