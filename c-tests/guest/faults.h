/* Instructions with a fault, for hosts and guests: what they are depends on the machine. */
#ifndef CR_TEST_FAULTS_H
#define CR_TEST_FAULTS_H

#include <signal.h>

/* An instruction that does not exist: SIGILL. */
static inline void fault_illegal(void) {
#if defined(__aarch64__)
    __asm__ volatile(".inst 0"); /* udf #0; the compiler's own trap is a breakpoint */
#elif defined(__riscv)
    __asm__ volatile("unimp"); /* the compiler's own trap is a breakpoint */
#else
    __builtin_trap();
#endif
}

/* SIGFPE. `zero` is 0, and the compiler must not know. */
static inline int fault_divide(int zero) {
#if defined(__x86_64__) || defined(__i386__)
    return 100 / zero; /* a compiler needs no division for 1 / x */
#else
    raise(SIGFPE); /* here a division by zero gives zero */
    return zero;
#endif
}

/* A breakpoint: SIGTRAP. */
static inline void fault_trap(void) {
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("int3");
#elif defined(__aarch64__)
    __asm__ volatile("brk #0");
#else
    raise(SIGTRAP);
#endif
}

#endif
