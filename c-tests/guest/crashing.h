/* What the host tells the guest of crashing.cpp. */
#ifndef CR_TEST_CRASHING_H
#define CR_TEST_CRASHING_H

enum crash_kind {
    CRASH_NOT,
    CRASH_READ,
    CRASH_WRITE,
    CRASH_OVERFLOW,
    CRASH_JUMP,     /* to address 0 */
    CRASH_JUMP_FAR, /* to another where nothing is */
    CRASH_ABORT,
    CRASH_RAISE,
    HANG,           /* an endless loop */
    HANG_LOCKED,    /* waits for the lock, then returns */
    HANG_AFTER_LOCK /* waits for the lock, gives it back, then loops */
};

struct crashing {
    int operation;
    enum crash_kind kind;
    void *lock; /* a pthread_mutex_t */
};

#endif
