// A guest with a crash of each kind, some calls deep. The lines that are to be found in a record are marked; the host
// finds them by their marks.
#include "cr.h"

#include "crashing.h"

#include <csignal>
#include <cstdlib>
#include <pthread.h>

namespace shapes {

struct Circle {
    int *radius;
    __attribute__((noinline)) int area(int factor) const;
};

static inline __attribute__((always_inline)) int square(const int *side) {
    return *side * *side; // mark: inlined
}

int Circle::area(int factor) const {
    return square(radius) * factor; // mark: area
}

} // namespace shapes

static volatile int nowhere = 0;

__attribute__((noinline)) static int recurse(int depth) {
    volatile char block[512];
    block[depth % 512] = static_cast<char>(depth);
    return nowhere == 1 ? depth : recurse(depth + 1) + block[0]; // mark: recurse
}

__attribute__((noinline)) static int jump(int *address) {
    int (*volatile function)() = reinterpret_cast<int (*)()>(address);
    return function() + 1; // mark: jump
}

__attribute__((noinline)) static int loop() {
    volatile unsigned count = 1;
    while (nowhere == 0) {
        count = count * 3; // mark: loop
    }
    return static_cast<int>(count);
}

__attribute__((noinline)) static int fail(crash_kind kind, void *lock = nullptr) {
    shapes::Circle circle = {reinterpret_cast<int *>(static_cast<size_t>(nowhere))};
    switch (kind) {
    case CRASH_READ:
        return circle.area(3) + 1; // mark: fail
    case CRASH_WRITE:
        *(reinterpret_cast<volatile int *>(static_cast<size_t>(nowhere)) + 4) = 1; // mark: write
        return 1;
    case CRASH_OVERFLOW:
        return recurse(nowhere) + 1;
    case CRASH_JUMP:
        return jump(circle.radius) + 1;
    case CRASH_JUMP_FAR:
        return jump(reinterpret_cast<int *>(static_cast<size_t>(0x1234568))) + 1;
    case CRASH_ABORT:
        std::abort(); // mark: abort
    case CRASH_RAISE:
        std::raise(SIGFPE);
        return 1;
    case HANG:
        return loop();
    case HANG_LOCKED:
    case HANG_AFTER_LOCK:
        pthread_mutex_lock(static_cast<pthread_mutex_t *>(lock));
        pthread_mutex_unlock(static_cast<pthread_mutex_t *>(lock));
        return kind == HANG_AFTER_LOCK ? loop() : 8;
    case CRASH_NOT:
        break;
    }
    return 0;
}

CR_EXPORT void *crash_now(void *kind) {
    return reinterpret_cast<void *>(
        static_cast<size_t>(fail(static_cast<crash_kind>(reinterpret_cast<size_t>(kind)))) + 1); // mark: crash_now
}

CR_EXPORT void *call_back(void *function) {
    reinterpret_cast<void (*)()>(function)(); // mark: call_back
    return function;
}

CR_EXPORT int cr_main(cr_plugin *ctx, cr_op operation) {
    const crashing *orders = static_cast<const crashing *>(ctx->userdata);
    if (orders && orders->operation == operation) {
        return fail(orders->kind, orders->lock) - 1; // mark: cr_main
    }
    return 0;
}
