// The host's own crashes.
#ifndef CR_TEST_CRASH_H
#define CR_TEST_CRASH_H

#include "../guest/faults.h"
#include "check.h"
#include "system.h"

#include <csignal>
#include <cstdlib>

namespace {

volatile int crash_zero = 0;

inline void write_to_null() { *reinterpret_cast<volatile int *>(static_cast<size_t>(crash_zero)) = 1; }

// Reaches what the compiler cannot see: that it never ends.
inline int exhaust_stack(int depth) {
    volatile char block[512];
    block[depth % 512] = static_cast<char>(depth);
    return crash_zero == 1 ? depth : exhaust_stack(depth + 1) + block[0];
}

} // namespace

#ifndef _WIN32

namespace {

// Runs the function in a child process and returns its wait status; a child that goes on after it exits with 0.
template <class Function> int status_of_child(Function function) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        function();
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(child, waitpid(child, &status, 0));
    return status;
}

} // namespace

#define CHECK_DIES_OF(signal, status)                                                                                  \
    do {                                                                                                               \
        CHECK(WIFSIGNALED(status));                                                                                    \
        CHECK_EQ(signal, WTERMSIG(status));                                                                            \
    } while (0)

#endif

#endif
