/* What the host and the guest of the flow test share. */
#ifndef CR_TEST_FLOW_H
#define CR_TEST_FLOW_H

enum flow_task {
    FLOW_VERSION,
    FLOW_LOCAL_STATE,
    FLOW_GLOBAL_STATE,
    FLOW_USE_NUMBERS,
    FLOW_DROP_NUMBERS,
    FLOW_CRASH_IN_STEP,
    FLOW_CRASH_IN_LOAD,
    FLOW_CRASH_IN_UNLOAD
};

#define FLOW_NUMBERS (1024 * 1024)

struct flow {
    enum flow_task task;
    int *numbers; /* the guest's, from the heap: it outlives every version */
};

#endif
