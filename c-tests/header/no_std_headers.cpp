// A host in C++ that wants no headers of the standard library from cr.h.
#define CR_HOST
#define CR_NO_STD_HEADERS
#define CR_DEBUG
#include "cr.h"

// An error if they were included.
namespace std {
class string {};
class thread {};
inline void sort() {}
} // namespace std

static void *twice(void *arg) { return arg; }

int main() {
    cr_plugin ctx;
    if (!cr_plugin_open(ctx, "x")) {
        return cr_plugin_error(ctx)[0];
    }
    cr_set_temporary_path(ctx, "/tmp");
    cr::callback<int(int)> on_key(ctx, "on_key", -1);
    cr::callback<void()> on_idle(ctx, "on_idle");
    on_idle();
    while (cr_plugin_update(ctx) == on_key(1)) {
        cr_plugin_call(ctx, twice, nullptr);
    }
    std::sort();
    cr_plugin_close(ctx);
    return 0;
}
