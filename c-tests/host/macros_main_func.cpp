// CONTRACT §1: CR_MAIN_FUNC, the name of the entry point.
#define CR_MAIN_FUNC "other_entry"
#include "fixture.h"

SCENARIO(s1_macros_main_func_names_the_entry_point) {
    Plugin p("other_entry_a");
    p.run();
    p.install("other_entry_b");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK(reinterpret_cast<void *>(cr_so_symbol(static_cast<cr_internal *>(p.ctx.p)->handle)) == p.orders.address);
    p.close();
}
