/* A guest that knows nothing but the layout of the struct and the name of the entry point. */
#include "actions.h"

struct context {
    void *p;
    void *userdata;
    unsigned version;
    unsigned failure;
    unsigned next_version;
    unsigned last_working_version;
};

int cr_main(struct context *ctx, int operation);

int cr_main(struct context *ctx, int operation) {
    struct script *s = (struct script *)ctx->userdata;
    note(s, operation, ctx->version, ctx->failure);
    return obey(s, (struct cr_plugin *)ctx, &s->on[operation]);
}
