// CONTRACT §3 row 16: a plugin keeps the macros of the file that opened it, whichever file uses it.
#include <string>

static std::string log_of_this_file;

#define CR_HOST CR_DISABLE
#define CR_LOG(format, text) (log_of_this_file += text)
#include "fixture.h"
#include "two_files.h"

SCENARIO(r16_plugin_keeps_the_macros_of_the_file_that_opened_it) {
    Plugin p("general_a");
    p.close();
    CHECK(open_in_another_file(p.ctx, p.path.c_str()));
    log_of_this_file.clear();
    p.run(2);
    CHECK_CONTAINS("libguest", log_of_another_file());
    CHECK_TEXT("", log_of_this_file.c_str());
    p.run_next("general_b");
    CHECK_EQ(103, p.orders.state_counter); // not CR_DISABLE
    p.install("shifted_b");
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_STATE_INVALIDATED, p.ctx.failure); // CR_SAFEST
    p.close();
}
