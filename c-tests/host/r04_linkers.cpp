// CONTRACT §3 row 4: state is found and carried over for guests of every linker, however they were linked.
#define CR_HOST
#include "cr.h"

#include "../guest/state.h"
#include "check.h"
#include "files.h"

#include <string>

namespace {

void carries(const std::string &how) {
    state_task task = {};
    cr_plugin ctx;
    ctx.userdata = &task;
    const char *path = path_of("libstate.so");
    install(("state_" + how + "_1").c_str(), path);
    CHECK(cr_plugin_open(ctx, path));
    task.fill = 1000;
    CHECK_EQ(1, cr_plugin_update(ctx));

    for (int reload = 0; reload < 3; ++reload) {
        int next = reload % 2 ? 1 : 2;
        install(("state_" + how + (next == 1 ? "_1" : "_2")).c_str(), path);
        task.expect = 1000 * (reload + 1);
        task.fill = 0;
        CHECK_EQ(next, cr_plugin_update(ctx));
        CHECK_EQ(1, task.state);
        CHECK_EQ(1, task.state_aligned);
        CHECK_EQ(1, task.named);
#ifdef _WIN32 // this linker puts zeros into .data, and so does the compiler with these switches
        const bool has_zeros = how.find("lld") == std::string::npos && how.find("gc_sections") == std::string::npos;
#else
        const bool has_zeros = true;
#endif
        CHECK_EQ(has_zeros, task.zero);
        CHECK_EQ(has_zeros, task.zero_aligned);
        CHECK_EQ(1, task.data);
        CHECK_EQ(1, task.others);
        task.fill = 1000 * (reload + 2);
        CHECK_EQ(next, cr_plugin_update(ctx));
    }
    cr_plugin_close(ctx);
}

} // namespace

#define CARRIES(how)                                                                                                   \
    SCENARIO(r04_state_is_carried_##how) { carries(#how); }

CARRIES(bfd)
CARRIES(bfd_o2)
CARRIES(bfd_lto)
CARRIES(bfd_gc_sections)
CARRIES(bfd_stripped)
CARRIES(lld)
CARRIES(lld_o2)
CARRIES(lld_gc_sections)
CARRIES(lld_stripped)
CARRIES(clang)
CARRIES(clang_o2)

#ifndef _WIN32 // linkers and switches for ELF alone
CARRIES(bfd_now)
CARRIES(bfd_norelro)
CARRIES(gold)
CARRIES(gold_o2)
CARRIES(gold_lto)
CARRIES(gold_gc_sections)
CARRIES(gold_stripped)
CARRIES(gold_now)
CARRIES(gold_norelro)
CARRIES(lld_now)
CARRIES(lld_norelro)
CARRIES(mold)
CARRIES(mold_o2)
CARRIES(mold_gc_sections)
CARRIES(mold_stripped)
CARRIES(mold_now)
CARRIES(mold_norelro)
#endif
