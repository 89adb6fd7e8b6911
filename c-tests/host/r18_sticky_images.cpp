// CONTRACT §3 row 18: an image that cannot be unmapped is never used again, and it is reported.
#include <string>

namespace {

std::string messages;

template <class... More> void keep_message(const char *format, const char *text, More...) {
    (void)format;
    messages += text;
}

} // namespace

#define CR_LOG(...) keep_message(__VA_ARGS__)
#define CR_ERROR(...) keep_message(__VA_ARGS__)
#include "fixture.h"

namespace {

void is_always_fresh(const char *first, const char *second, const char *reason) {
    Plugin p(first);
    p.run(3);
    CHECK_EQ(103, p.orders.data_counter);
    for (int i = 0; i < 4; ++i) {
        messages.clear();
        p.run_next(i % 2 ? first : second);
        CHECK_EQ(101, p.orders.data_counter);
        CHECK_EQ(104 + i, p.orders.state_counter);
        // A symbol that is unique holds only the first image that has it.
        bool stays = count_mapped(("libguest" + std::to_string(i + 1) + ".so").c_str()) > 0;
        CHECK(stays || i > 0);
        CHECK_EQ(stays, messages.find("mapped") != std::string::npos);
        if (stays) {
            CHECK_CONTAINS(reason, messages.c_str());
        }
    }
    // Back to a version whose image is still there: it begins anew all the same.
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("b.load@4!1 b.step@4", p);
    CHECK_EQ(101, p.orders.data_counter);
    CHECK_EQ(107, p.orders.state_counter);
    // The same version once more.
    p.on(CR_STEP, ACT_RETURN, -1);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_EQ(101, p.orders.data_counter);
    p.run_next("general_c");
    p.close();
#ifndef _WIN32 // files that are mapped stay there, see windows_copies_that_stay_mapped_are_swept_later
    CHECK_TEXT("libguest.so", list("."));
#endif
}

} // namespace

#ifndef _WIN32
SCENARIO(r18_image_with_thread_local_destructors) { 
    is_always_fresh("sticky_thread_local_a", "sticky_thread_local_b", "thread_local objects");
}

SCENARIO(r18_image_with_unique_symbols) { 
    is_always_fresh("sticky_unique_a", "sticky_unique_b", "its symbol _ZN6UniqueIiE5valueE is unique");
}
#endif

SCENARIO(r18_image_with_a_running_thread) { 
    is_always_fresh("sticky_thread_a", "sticky_thread_b", "something else holds it");
}

#ifndef _WIN32
SCENARIO(r18_image_that_is_marked_to_stay) {
    is_always_fresh("sticky_marked_a", "sticky_marked_b", "linked with -z nodelete");
}
#endif

SCENARIO(r18_image_that_is_unmapped_is_not_reported) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.close();
    CHECK(messages.find("mapped") == std::string::npos);
}

SCENARIO(r18_image_that_stays_may_be_opened_again) {
    for (int i = 0; i < 3; ++i) {
#if defined(_WIN32) || defined(__APPLE__)
        Plugin p("sticky_thread_a");
#else
        Plugin p("sticky_unique_a");
#endif
        p.run(2);
        CHECK_EQ(102, p.orders.data_counter);
        CHECK_EQ(102, p.orders.state_counter);
        p.close();
    }
}
