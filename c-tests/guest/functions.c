/* The guest of general.c with functions that a host looks up and calls. */
#include "general.c"

#include <stdint.h>

CR_EXPORT int exported_number = 17;
CR_EXPORT const char *const exported_text = "a literal of version " TEXT(MARKER);

CR_EXPORT void *add_one(void *arg);
CR_EXPORT void *crash(void *arg);
CR_EXPORT void *call_back(void *arg);
CR_EXPORT void *marker(void *arg);

CR_EXPORT void *add_one(void *arg) { return (void *)((uintptr_t)arg + 1); }

CR_EXPORT void *crash(void *arg) {
    *(volatile int *)(size_t)always_zero = 1;
    return arg;
}

/* Calls a function of the host that takes and returns nothing. */
CR_EXPORT void *call_back(void *arg) {
    ((void (*)(void))(uintptr_t)arg)();
    return arg;
}

CR_EXPORT void *marker(void *arg) {
    (void)arg;
    return (void *)(uintptr_t)(TEXT(MARKER)[0]);
}

#ifdef ONLY_HERE
CR_EXPORT void *only_here(void *arg);
CR_EXPORT void *only_here(void *arg) { return arg; }
#endif
