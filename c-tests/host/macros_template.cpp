// CONTRACT §1: CR_LOG as a template itself, without parentheses.
#include <cstdio>
#include <string>

namespace {

int messages;

template <class... Args> void count_message(const char *format, Args... args) {
    char text[4096];
    messages += std::snprintf(text, sizeof text, format, args...) > 0;
}

} // namespace

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wformat-security" // instantiated without arguments, or with them
#endif
#define CR_LOG count_message
#define CR_ERROR count_message
#include "fixture.h"

SCENARIO(s1_macros_log_as_a_template) {
    Plugin p("general_a");
    p.run();
    int at_load = messages;
    CHECK(at_load > 0);
    p.run_next("general_b");
    CHECK(messages > at_load);
    p.close();
}
