/* What a host tells a test guest to do, and what the guest writes down. Shared by both sides, C and C++. */
#ifndef CR_TEST_SCRIPT_H
#define CR_TEST_SCRIPT_H

struct cr_plugin;

enum script_action {
    ACT_RETURN,     /* return `value` */
    ACT_NULL_WRITE, /* SIGSEGV */
    ACT_ILLEGAL,    /* SIGILL */
    ACT_ABORT,      /* abort() */
    ACT_DIVIDE,     /* SIGFPE */
    ACT_TRAP,       /* SIGTRAP */
    ACT_BUS,        /* SIGBUS: a page of a mapped file that is no longer there */
    ACT_OVERFLOW,   /* recursion without end */
    ACT_RAISE,      /* raise(value) */
    ACT_KILL_SELF,  /* kill(getpid(), value) */
    ACT_THROW,      /* throws the int `value`; in guests compiled as C++ */
    ACT_CALL        /* calls `call(ctx, call_data)` of the host, then returns `value` */
};

struct script_order {
    int action;
    int value;
};

/* One call of the guest. `what` is the operation (0-3) or one of the letters below. */
struct script_event {
    char marker;
    char what;
    unsigned version;
    unsigned failure;
};

#define SCRIPT_CONSTRUCTOR 'C'
#define SCRIPT_DESTRUCTOR 'D'
#define SCRIPT_ATEXIT 'X'

#define SCRIPT_EVENTS 128

struct script {
    struct script_order on[4]; /* by enum cr_op */
    struct script_order constructor;
    struct script_order destructor;
    void (*call)(struct cr_plugin *ctx, void *call_data);
    void *call_data;
    /* Written by the guest. */
    unsigned count;
    struct script_event events[SCRIPT_EVENTS];
    int state_counter; /* steps counted in .state; begins at 100 */
    int bss_counter;   /* in .bss; begins at 0 */
    int data_counter;  /* in .data; begins at 100 */
    int self_pointer;  /* 1 if the guest's pointer into its own image, kept in its state, is still right */
    void *address;     /* where the guest's entry point is */
};

/* Constructors see no context: the address of the script is handed over in this variable of the environment. */
#define SCRIPT_ENVIRONMENT "CR_TEST_SCRIPT"

#endif
