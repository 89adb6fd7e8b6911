// A host that defines CR_HOST_EVENT_CALLBACK and changes nothing else.
#include <string>

struct cr_plugin;

namespace {
std::string told;
void tell(cr_plugin &ctx, int action);
} // namespace

#define CR_HOST_EVENT_CALLBACK(ctx, action) tell(ctx, action)
#include "fixture.h"

namespace {
void tell(cr_plugin &ctx, int action) { told += std::to_string(action) + "@" + std::to_string(ctx.version) + " "; }
} // namespace

SCENARIO(events_through_the_macro) {
    Plugin p("general_a");
    p.run();
    CHECK_TEXT("5@1 ", told.c_str());
    told.clear();
    p.run_next("general_b");
    CHECK_TEXT("0@1 2@1 3@1 4@1 5@2 ", told.c_str());
    p.close();
}
