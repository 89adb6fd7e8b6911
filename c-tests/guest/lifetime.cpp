// A guest with a constructor, a static destructor and an atexit function, each of which the script directs.
#include "cr.h"

#include "actions.h"

namespace {

script *of_environment() {
    const char *text = getenv(SCRIPT_ENVIRONMENT);
    return text ? reinterpret_cast<script *>(strtoull(text, nullptr, 16)) : nullptr;
}

void at_exit() {
    if (script *s = of_environment()) {
        note(s, SCRIPT_ATEXIT, 0, 0);
    }
}

struct Lifetime {
    Lifetime() {
        if (script *s = of_environment()) {
            note(s, SCRIPT_CONSTRUCTOR, 0, 0);
            obey(s, nullptr, &s->constructor);
        }
        atexit(at_exit);
    }
    ~Lifetime() {
        if (script *s = of_environment()) {
            note(s, SCRIPT_DESTRUCTOR, 0, 0);
            obey(s, nullptr, &s->destructor);
        }
    }
};

Lifetime lifetime;

} // namespace

CR_EXPORT int cr_main(cr_plugin *ctx, cr_op operation) {
    script *s = static_cast<script *>(ctx->userdata);
    note(s, operation, ctx->version, ctx->failure);
    return obey(s, ctx, &s->on[operation]);
}
