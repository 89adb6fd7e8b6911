/* What the host and the guest of the state tests share. */
#ifndef CR_TEST_STATE_H
#define CR_TEST_STATE_H

#define STATE_WORDS 173 /* no round number */
#define STATE_FIRST 1717

struct state_task {
    int fill;   /* not 0: fill all variables with numbers from here on; else check them */
    int expect; /* what they were filled with */
    /* The answers, 1 if all is well: carried over ... */
    int state;
    int state_aligned;
    int named; /* section cr_state */
    int zero;
    int zero_aligned;
    /* ... or back at the first values. */
    int data;
    int others;
};

#endif
