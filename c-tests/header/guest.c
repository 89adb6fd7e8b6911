/* A guest that uses all that a guest may use. C89 and C++98 and everything later must take it. */
#include "cr.h"
#include "cr.h"

#if !defined(CR_WINDOWS) && !defined(CR_LINUX) && !defined(CR_OSX) && !defined(CR_FREEBSD)
#error "no platform macro"
#endif

/* Both places of the macro, global and static, with and without a value. */
static int CR_STATE before_the_name = 1;
static CR_STATE int before_the_type = 2;
CR_STATE int global_state = 3;
static double CR_STATE array_state[4] = {1.0};
struct pair {
    int a, b;
};
static struct pair CR_STATE struct_state = {1, 2};
static CR_STATE const char *pointer_state = CR_PLUGIN("other");
static int CR_STATE unused_state = 1;

/* A guest sees no function of the library, so it may use the names, and a host may declare them by hand. */
double cr_plugin_update(double seconds);
double cr_plugin_update(double seconds) { return seconds; }
#ifdef CR_OPTIONS_INIT
#error "a guest got the part for hosts"
#endif

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation);

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    static int CR_STATE local_state = 0;
    static CR_STATE unsigned other_local_state = 0;
    cr_plugin_main_func self = cr_main;
    switch (operation) {
    case CR_LOAD:
    case CR_UNLOAD:
    case CR_CLOSE:
        return ctx->failure == CR_NONE ? 0 : 1;
    case CR_STEP:
        break;
    }
    local_state += before_the_name + before_the_type + global_state + struct_state.a;
    other_local_state += ctx->version + ctx->next_version + ctx->last_working_version;
    array_state[0] = cr_plugin_update(array_state[1]);
    return ctx->p && ctx->userdata && pointer_state[0] && self ? local_state : (int)other_local_state;
}
