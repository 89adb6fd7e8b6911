/* The guest of most tests: writes down each call and does what the host's script says. Compiled as C and as C++. */
#include "cr.h"

#include "actions.h"

#ifndef ENTRY
#define ENTRY cr_main
#endif

#ifdef WIDE
#define COUNTER long long
#else
#define COUNTER int
#endif
static COUNTER CR_STATE state_counter = 100;
static int bss_counter;
static int data_counter = 100;

/* A pointer into the guest's own image, kept in its state. */
static int *CR_STATE self_pointer = NULL;

#ifdef SHIFT_DATA
/* Moves what is behind .data; it keeps its size. */
static volatile char shift[SHIFT_DATA] = {1};
#endif

#ifdef EXTRA_STATE
/* Makes .state larger. */
static volatile char CR_STATE extra_state[EXTRA_STATE] = {1};
#endif

#ifdef BALLAST
/* Makes the file some pages longer. */
static const volatile char ballast[BALLAST] = {1};
#endif

#ifdef UNDEFINED
void nowhere_to_be_found(void);
#endif

CR_EXPORT int ENTRY(struct cr_plugin *ctx, enum cr_op operation);

CR_EXPORT int ENTRY(struct cr_plugin *ctx, enum cr_op operation) {
    struct script *s = (struct script *)ctx->userdata;
#ifdef SHIFT_DATA
    shift[0] = 2;
#endif
#ifdef EXTRA_STATE
    extra_state[0] = 2;
#endif
#ifdef BALLAST
    (void)ballast[1];
#endif
#ifdef UNDEFINED
    nowhere_to_be_found();
#endif
    note(s, operation, ctx->version, ctx->failure);
    s->address = (void *)(size_t)ENTRY;
    if (operation == CR_STEP) {
        if (!self_pointer) {
            self_pointer = &bss_counter;
        }
        s->state_counter = (int)++state_counter;
        s->bss_counter = ++bss_counter;
        s->data_counter = ++data_counter;
        s->self_pointer = self_pointer == &bss_counter;
    }
    return obey(s, ctx, &s->on[operation]);
}
