// A guest in C++, run by `basic_host .../libbasic_guest_cpp.so`.
//
// Objects on the heap outlive a reload as long as their layout stays the same: here the host's `userdata` would
// do as well, but a pointer in CR_STATE needs nothing from the host.
#include <cstdio>
#include <string>
#include <vector>

#include "cr.h"

namespace {

struct World {
    std::vector<std::string> log;
    unsigned steps = 0;
};

World *CR_STATE world = nullptr;

void step(const cr_plugin &ctx) {
    world->steps += 1;
    if (world->steps % 100 == 0) {
        world->log.push_back("version " + std::to_string(ctx.version)); // TRY: another text
        std::printf("guest: %u steps, log:", world->steps);
        for (const std::string &entry : world->log) {
            std::printf(" [%s]", entry.c_str());
        }
        std::printf("\n");
        if (world->log.size() > 4) {
            world->log.clear();
        }
    }
}

} // namespace

CR_EXPORT int cr_main(cr_plugin *ctx, cr_op operation) {
    switch (operation) {
    case CR_LOAD:
        if (world == nullptr) {
            world = new World;
        }
        std::printf("guest: version %u, %u steps so far\n", ctx->version, world->steps);
        return 0;
    case CR_STEP:
        step(*ctx);
        return 0;
    case CR_UNLOAD:
        return 0;
    case CR_CLOSE:
        delete world;
        world = nullptr;
        return 0;
    }
    return 0;
}
