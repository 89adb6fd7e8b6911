/* The main function of the test hosts: runs one scenario in a process of its own and judges how it ends.
 *
 *     host --list      the names of all scenarios
 *     host NAME        runs one: status 0 passed, 1 failed, 77 skipped
 *     host --here NAME runs one in this process and this directory: where there is no fork, run_apart starts it so
 *
 * The directory of the scenario is made under TMPDIR and removed afterwards. Whoever calls this sets the time limit;
 * the child dies with this process. */
#include "check.h"
#include "system.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct scenario *scenarios;

void scenario_register(struct scenario *scenario) {
    scenario->next = scenarios;
    scenarios = scenario;
}

/* A failed check may be on any thread, inside a guest, or in a child: leave without running anything else. */
static void leave(int status) __attribute__((noreturn));
static void leave(int status) {
    fflush(stderr);
    _exit(status);
}

void skip(const char *why, ...) {
    va_list args;
    va_start(args, why);
    fprintf(stderr, "skipped: ");
    vfprintf(stderr, why, args);
    fprintf(stderr, "\n");
    va_end(args);
    leave(SKIPPED);
}

void check_failed(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    leave(FAILED);
}

void check_equal(const char *file, int line, const char *what, long long expected, long long actual) {
    if (expected != actual) {
        check_failed(file, line, "%s is %lld, expected %lld", what, actual, expected);
    }
}

void check_text(const char *file, int line, const char *what, const char *expected, const char *actual) {
    if (!actual || strcmp(expected, actual) != 0) {
        check_failed(file, line, "%s is\n    %s\nexpected\n    %s", what, actual ? actual : "(null)", expected);
    }
}

void check_contains(const char *file, int line, const char *what, const char *part, const char *actual) {
    if (!actual || !strstr(actual, part)) {
        check_failed(file, line, "%s is\n    %s\nwithout\n    %s", what, actual ? actual : "(null)", part);
    }
}

static const struct scenario *find(const char *name) {
    const struct scenario *scenario = scenarios;
    while (scenario && strcmp(name, scenario->name) != 0) {
        scenario = scenario->next;
    }
    return scenario;
}

int main(int argc, char **argv) {
    const struct scenario *scenario;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (scenario = scenarios; scenario; scenario = scenario->next) {
            printf("%s\n", scenario->name);
        }
        return PASSED;
    }
    if (argc == 3 && strcmp(argv[1], "--here") == 0 && (scenario = find(argv[2])) != NULL) {
        scenario->run();
        fflush(NULL);
        leave(scenario->dies_of ? FAILED : PASSED);
    }
    if (argc == 2 && (scenario = find(argv[1])) != NULL) {
        return run_apart(scenario);
    }
    fprintf(stderr, "usage: %s --list | SCENARIO\n", argv[0]);
    return FAILED;
}
