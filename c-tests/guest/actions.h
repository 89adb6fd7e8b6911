/* How a guest carries out an order of its host. Used by guests only. */
#ifndef CR_TEST_ACTIONS_H
#define CR_TEST_ACTIONS_H

#include "faults.h"
#include "script.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef _WIN32
#include <windows.h>
#undef TEXT /* its macro for wide strings */
#else
#include <sys/mman.h>
#endif

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

#ifndef MARKER
#define MARKER a
#endif

static void note(struct script *s, int what, unsigned version, unsigned failure) {
    struct script_event *event = &s->events[s->count % SCRIPT_EVENTS];
    event->marker = TEXT(MARKER)[0];
    event->what = (char)what;
    event->version = version;
    event->failure = failure;
    ++s->count;
}

/* The compiler must not see that these are constant. */
static volatile int always_zero = 0;

static int recurse(int depth) {
    volatile char block[512];
    block[depth % 512] = (char)depth;
    if (always_zero == 1) {
        return depth;
    }
    return recurse(depth + 1) + block[0];
}

#ifdef _WIN32

static void lose_a_page(void) { RaiseException((DWORD)STATUS_DATATYPE_MISALIGNMENT, 0, 0, NULL); }
static void kill_self(int signal) { raise(signal); }

#else

static void lose_a_page(void) {
    FILE *file = tmpfile();
    char *page;
    if (!file || ftruncate(fileno(file), 4096) != 0) {
        exit(3);
    }
    page = (char *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    if (page == (char *)MAP_FAILED || ftruncate(fileno(file), 0) != 0) {
        exit(3);
    }
    fclose(file);
    *(volatile char *)page = 1;
}
static void kill_self(int signal) { kill(getpid(), signal); }

#endif

static int obey(struct script *s, struct cr_plugin *ctx, const struct script_order *order) {
    switch (order->action) {
    case ACT_NULL_WRITE:
        *(volatile int *)(size_t)always_zero = 1;
        break;
    case ACT_ILLEGAL:
        fault_illegal();
        break;
    case ACT_ABORT:
        abort();
    case ACT_DIVIDE:
        always_zero = fault_divide(always_zero);
        break;
    case ACT_TRAP:
        fault_trap();
        break;
    case ACT_BUS:
        lose_a_page();
        break;
    case ACT_OVERFLOW:
        return recurse(always_zero);
    case ACT_RAISE:
        raise(order->value);
        break;
    case ACT_KILL_SELF:
        kill_self(order->value);
        break;
    case ACT_CALL:
        s->call(ctx, s->call_data);
        break;
#ifdef __cplusplus
    case ACT_THROW:
        throw int(order->value);
#endif
    default:
        break;
    }
    return order->value;
}

#endif
