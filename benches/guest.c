/* The guest of the benchmarks. BALLAST, BSS and STATE are megabytes of constant data, of zero-initialised state and of
 * tagged state, VARIABLES is a number of tagged variables. */
#include <stddef.h>

#include "cr.h"

#ifdef BALLAST
const volatile char ballast[BALLAST * 1048576UL] = {1};
#endif
#ifdef BSS
static volatile char zero[BSS * 1048576UL];
#define TOUCHED zero
#endif
#ifdef STATE
static volatile char CR_STATE tagged[STATE * 1048576UL] = {1};
#define TOUCHED tagged
#endif
#ifdef VARIABLES
#define ONE(n) static volatile unsigned CR_STATE variable_##n = 1;
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n) TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
#define THOUSAND(n) HUNDRED(n##0) HUNDRED(n##1) HUNDRED(n##2) HUNDRED(n##3) HUNDRED(n##4) \
    HUNDRED(n##5) HUNDRED(n##6) HUNDRED(n##7) HUNDRED(n##8) HUNDRED(n##9)
#if VARIABLES >= 10000
THOUSAND(1) THOUSAND(2) THOUSAND(3) THOUSAND(4) THOUSAND(5) THOUSAND(6) THOUSAND(7) THOUSAND(8) THOUSAND(9)
#endif
#if VARIABLES >= 1000
THOUSAND(x)
#elif VARIABLES >= 100
HUNDRED(x)
#else
TEN(x)
#endif
#endif
static unsigned CR_STATE steps = 0;

/* For the guarded call. */
CR_EXPORT void *guest_function(void *arg) { return arg; }

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    const volatile int *crash = (const volatile int *)ctx->userdata;
    if (operation == CR_STEP) {
        steps += 1;
#ifdef TOUCHED
        TOUCHED[steps % sizeof TOUCHED] = 1; /* or there is no state to carry */
#endif
        if (crash && *crash) {
            *(volatile int *)(size_t)(*crash - 1) = 1;
        }
    }
    return 0;
}
