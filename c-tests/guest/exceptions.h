/* What the host and the guest of the tests for Windows share. */
#ifndef CR_TEST_EXCEPTIONS_H
#define CR_TEST_EXCEPTIONS_H

enum windows_what {
    WINDOWS_NOTHING,          /* returns 5 */
    WINDOWS_RAISE,            /* RaiseException(code), then returns 5 */
    WINDOWS_VECTORED,         /* a fault that a vectored handler of the guest mends: returns 23 */
    WINDOWS_TRY,              /* a fault in a __try block: returns 42 */
    WINDOWS_FINALLY,          /* a fault below a __finally block, which sets finally_ran */
    WINDOWS_FAULT_IN_FINALLY, /* the same with a second fault in it */
};

struct windows_task {
    enum windows_what what;
    unsigned long code;
    volatile int finally_ran;
};

#endif
