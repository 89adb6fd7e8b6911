/* The guest of flow.c: a task for each call, as its host says in the user data. */
#include "cr.h"

#include "flow.h"

#include <stdlib.h>

static unsigned CR_STATE global_count = 0;

static int count_locally(void) {
    static int CR_STATE local_count = -10;
    if (local_count < 0) {
        local_count = 10;
    }
    return ++local_count;
}

/* Makes the numbers at the first call, and checks them at each later one. */
static int use_numbers(struct flow *flow) {
    int i;
    if (!flow->numbers) {
        flow->numbers = (int *)malloc(sizeof(int) * FLOW_NUMBERS);
        for (i = 0; flow->numbers && i < FLOW_NUMBERS; ++i) {
            flow->numbers[i] = FLOW_NUMBERS - i;
        }
        return FLOW_NUMBERS;
    }
    for (i = 0; i < FLOW_NUMBERS; ++i) {
        if (flow->numbers[i] != FLOW_NUMBERS - i) {
            return i + 1;
        }
    }
    return 0;
}

static int drop_numbers(struct flow *flow) {
    if (!flow->numbers) {
        return 0;
    }
    free(flow->numbers);
    flow->numbers = NULL;
    return FLOW_NUMBERS;
}

static int crash(void) {
    int *volatile nowhere = NULL;
    return ++*nowhere;
}

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation);

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    struct flow *flow = (struct flow *)ctx->userdata;
    switch (flow->task) {
    case FLOW_VERSION:
        return (int)ctx->version;
    case FLOW_LOCAL_STATE:
        return count_locally();
    case FLOW_GLOBAL_STATE:
        return (int)++global_count;
    case FLOW_USE_NUMBERS:
        return use_numbers(flow);
    case FLOW_DROP_NUMBERS:
        return drop_numbers(flow);
    case FLOW_CRASH_IN_STEP:
        return operation == CR_STEP ? crash() : 0;
    case FLOW_CRASH_IN_LOAD:
        return operation == CR_LOAD ? crash() : 0;
    case FLOW_CRASH_IN_UNLOAD:
        return operation == CR_UNLOAD ? crash() : 0;
    }
    return -1;
}
