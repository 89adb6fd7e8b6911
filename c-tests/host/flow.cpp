// One long life of a plugin, as the original's own test lives it: versions, state of both kinds, data on the heap,
// and crashes in each operation, with what every update returns. Tasks are done in every operation that an update
// runs, so a version that is loaded or unloaded while a counter is the task counts more than once.
#define CR_HOST
#include "cr.h"

#include "../guest/flow.h"
#include "check.h"
#include "files.h"

namespace {

struct Flow {
    cr_plugin ctx;
    flow data = {};
    const char *path = path_of("libflow.so");

    Flow() {
        install("flow", path);
        ctx.userdata = &data;
        CHECK(cr_plugin_open(ctx, path));
    }

    int does(flow_task task) {
        data.task = task;
        return cr_plugin_update(ctx);
    }

    void crashes(flow_task task, int returned, unsigned version) {
        CHECK_EQ(returned, does(task));
        CHECK_EQ(version, ctx.version);
        CHECK_EQ(CR_SEGFAULT, ctx.failure);
    }
};

} // namespace

SCENARIO(s1_flow_of_versions_state_heap_crashes_and_rollbacks) {
    Flow f;
    CHECK_EQ(1, f.does(FLOW_VERSION));
    CHECK_EQ(11, f.does(FLOW_LOCAL_STATE));
    CHECK_EQ(1, f.does(FLOW_GLOBAL_STATE));
    CHECK_EQ(12, f.does(FLOW_LOCAL_STATE));

    touch(f.path); // version 2: both counters go on
    CHECK_EQ(2, f.does(FLOW_VERSION));
    CHECK_EQ(2, f.does(FLOW_GLOBAL_STATE));
    CHECK_EQ(3, f.does(FLOW_GLOBAL_STATE));
    CHECK_EQ(13, f.does(FLOW_LOCAL_STATE));
    CHECK_EQ(14, f.does(FLOW_LOCAL_STATE));
    CHECK_EQ(FLOW_NUMBERS, f.does(FLOW_USE_NUMBERS));
    CHECK_EQ(0, f.does(FLOW_USE_NUMBERS));

    f.crashes(FLOW_CRASH_IN_STEP, -1, 1); // back to version 1 as it was unloaded; the heap is as it is
    CHECK_EQ(1, f.does(FLOW_VERSION));
    CHECK_EQ(13, f.does(FLOW_LOCAL_STATE));
    CHECK_EQ(2, f.does(FLOW_GLOBAL_STATE));
    CHECK_EQ(0, f.does(FLOW_USE_NUMBERS));

    touch(f.path); // number 2 is not used again
    CHECK_EQ(3, f.does(FLOW_VERSION));
    CHECK_EQ(0, f.does(FLOW_USE_NUMBERS));
    CHECK_EQ(14, f.does(FLOW_LOCAL_STATE));
    CHECK_EQ(3, f.does(FLOW_GLOBAL_STATE));
    CHECK_EQ(FLOW_NUMBERS, f.does(FLOW_DROP_NUMBERS));
    CHECK_EQ(0, f.does(FLOW_DROP_NUMBERS));

    touch(f.path);
    f.crashes(FLOW_CRASH_IN_LOAD, -2, 3); // version 4 never ran
    CHECK_EQ(3, f.does(FLOW_VERSION));

    touch(f.path);
    f.crashes(FLOW_CRASH_IN_UNLOAD, -2, 2); // version 3 was loaded a second time, so the one before is 2
    CHECK_EQ(2, f.does(FLOW_VERSION));
    CHECK_EQ(15, f.does(FLOW_LOCAL_STATE));
    CHECK_EQ(4, f.does(FLOW_GLOBAL_STATE));

    cr_plugin_close(f.ctx);
    CHECK(f.ctx.p == nullptr);
    CHECK_EQ(0, f.ctx.version);
}
