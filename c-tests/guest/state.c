/* A guest whose only business is its state: large, aligned, in every section that is carried and some that are not. */
#include "cr.h"

#include "state.h"

#define ALIGNED(n) __attribute__((aligned(n)))
#ifdef __APPLE__
#define IN(name) __attribute__((section("__DATA," name)))
#else
#define IN(name) __attribute__((section(name)))
#endif

static int CR_STATE state[STATE_WORDS] = {STATE_FIRST};
static int CR_STATE state_aligned[STATE_WORDS] ALIGNED(256) = {STATE_FIRST};
#ifndef CR_STATE_ONLY
static int named[STATE_WORDS] IN("cr_state") = {STATE_FIRST};
#endif
static int zero[STATE_WORDS];
static int zero_aligned[STATE_WORDS] ALIGNED(512);
static int data[STATE_WORDS] = {STATE_FIRST};
/* Sections in front of and behind .state, whatever order the linker gives them. */
static int before[3] IN(".sta") = {STATE_FIRST};
static int behind[5] IN(".zzz") = {STATE_FIRST};
static __thread int thread_zero[7];
/* Something that makes relocations, so that there is a read-only part after relocation. */
static int *const pointers[] = {state, zero, data};

static void fill(int *words, int count, int seed) {
    int i;
    for (i = 0; i < count; ++i) {
        words[i] = seed + i;
    }
}

static int holds(const int *words, int count, int seed) {
    int i;
    for (i = 0; i < count; ++i) {
        if (words[i] != seed + i) {
            return 0;
        }
    }
    return 1;
}

static int initial(const int *words, int count, int first) {
    int i;
    for (i = 1; i < count; ++i) {
        if (words[i] != 0) {
            return 0;
        }
    }
    return words[0] == first;
}

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation);

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    struct state_task *task = (struct state_task *)ctx->userdata;
    if (operation != CR_STEP) {
        return 0;
    }
    thread_zero[0] = 1;
    if (task->fill) {
        fill(pointers[0], STATE_WORDS, task->fill);
        fill(state_aligned, STATE_WORDS, task->fill + 1);
        fill(pointers[1], STATE_WORDS, task->fill + 2);
        fill(zero_aligned, STATE_WORDS, task->fill + 3);
        fill(pointers[2], STATE_WORDS, task->fill + 4);
        fill(before, 3, task->fill + 5);
        fill(behind, 5, task->fill + 6);
#ifndef CR_STATE_ONLY
        fill(named, STATE_WORDS, task->fill + 7);
#endif
        return BUILD;
    }
    task->state = holds(state, STATE_WORDS, task->expect);
    task->state_aligned = holds(state_aligned, STATE_WORDS, task->expect + 1);
    task->zero = holds(zero, STATE_WORDS, task->expect + 2);
    task->zero_aligned = holds(zero_aligned, STATE_WORDS, task->expect + 3);
    task->data = initial(data, STATE_WORDS, STATE_FIRST);
    task->others = initial(before, 3, STATE_FIRST) && initial(behind, 5, STATE_FIRST);
#ifndef CR_STATE_ONLY
    task->named = holds(named, STATE_WORDS, task->expect + 7);
#else
    task->named = 1;
#endif
    return BUILD;
}
