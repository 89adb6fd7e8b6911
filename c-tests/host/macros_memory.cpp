// CONTRACT §1: CR_MALLOC, CR_REALLOC and CR_FREE give the memory that carries the state.
#include <cstdlib>

namespace {

int calls, live;

void *count_malloc(std::size_t size) {
    ++calls;
    ++live;
    return std::malloc(size);
}

void *count_realloc(void *ptr, std::size_t size) {
    ++calls;
    live += ptr == nullptr;
    return std::realloc(ptr, size);
}

void count_free(void *ptr) {
    live -= ptr != nullptr;
    std::free(ptr);
}

} // namespace

#define CR_MALLOC(size) count_malloc(size)
#define CR_REALLOC(ptr, size) count_realloc(ptr, size)
#define CR_FREE(ptr) count_free(ptr)
#include "fixture.h"

SCENARIO(s1_macros_malloc_realloc_and_free_are_used_and_balanced) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    p.run_next("larger_b");
    CHECK_EQ(103, p.orders.state_counter);
    CHECK(calls > 0);
    CHECK(live > 0);
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.run();
    p.close();
    CHECK_EQ(0, live);
}
