// CONTRACT §1: CR_LOG and CR_ERROR as variadic macros over templates, CR_TRACE, CR_ASSERT.
#include "check.h"

#include <cstdio>
#include <string>

namespace {

std::string logged, errors;
int traced;

template <class... Args> void write_log(std::string &to, const char *format, Args... args) {
    char text[4096];
    std::snprintf(text, sizeof text, format, args...);
    to += text;
}

// A format without arguments; unused where no message is one.
inline __attribute__((unused)) void write_log(std::string &to, const char *text) { to += text; }

} // namespace

#define CR_LOG(...) write_log(logged, __VA_ARGS__)
#define CR_ERROR(...) write_log(errors, __VA_ARGS__)
#define CR_TRACE ++traced;
#define CR_ASSERT(e) CHECK(e)
#include "fixture.h"

SCENARIO(s1_macros_log_error_and_trace) {
    Plugin p("general_a");
    p.run();
    CHECK_CONTAINS("libguest", logged.c_str());
    CHECK_TEXT("", errors.c_str());
    CHECK(traced > 0);
    install_bytes("garbage", 7, p.path.c_str());
    CHECK_EQ(-2, p.update());
    CHECK(!errors.empty());
    p.close();
}
