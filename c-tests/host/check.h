/* Checks and scenarios for test hosts, C and C++.
 *
 * A scenario is a function that runs alone in a process of its own, in an empty directory of its own. It passes when
 * it returns; a check that fails says so on standard error and ends the process. */
#ifndef CR_TEST_CHECK_H
#define CR_TEST_CHECK_H

#include "system.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a host exits with. */
enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };

struct scenario {
    const char *name;
    void (*run)(void);
    int dies_of; /* the signal that must end the process, or 0 */
    struct scenario *next;
};

void scenario_register(struct scenario *scenario);

/* Says that what follows is what a scenario that must die dies of; an earlier death is a failure. */
void about_to_die(void);

/* Ends the scenario as neither passed nor failed: the machine lacks something. */
void skip(const char *why, ...) __attribute__((noreturn, format(printf, 1, 2)));

void check_failed(const char *file, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));
void check_equal(const char *file, int line, const char *what, long long expected, long long actual);
void check_text(const char *file, int line, const char *what, const char *expected, const char *actual);
void check_contains(const char *file, int line, const char *what, const char *part, const char *actual);

#ifdef __cplusplus
}
#endif

#define SCENARIO_OF(scenario_name, signal)                                                                             \
    static void run_##scenario_name(void);                                                                             \
    static struct scenario scenario_##scenario_name = {#scenario_name, run_##scenario_name, signal, NULL};             \
    __attribute__((constructor)) static void register_##scenario_name(void) {                                          \
        scenario_register(&scenario_##scenario_name);                                                                  \
    }                                                                                                                  \
    static void run_##scenario_name(void)

#define SCENARIO(name) SCENARIO_OF(name, 0)
#define SCENARIO_DIES(name, signal) SCENARIO_OF(name, signal)

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, "not true: %s", #condition))
#define CHECK_EQ(expected, actual) check_equal(__FILE__, __LINE__, #actual, (long long)(expected), (long long)(actual))
#define CHECK_TEXT(expected, actual) check_text(__FILE__, __LINE__, #actual, expected, actual)
#define CHECK_CONTAINS(part, actual) check_contains(__FILE__, __LINE__, #actual, part, actual)

#endif
