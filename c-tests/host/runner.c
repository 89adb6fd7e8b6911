/* The main function of the test hosts: runs one scenario in a child process and judges how it ends.
 *
 *     host --list      the names of all scenarios
 *     host NAME        runs one: status 0 passed, 1 failed, 77 skipped
 *
 * The directory of the scenario is made under TMPDIR and removed afterwards. Whoever calls this sets the time limit;
 * the child dies with this process. */
#define _GNU_SOURCE /* nftw */
#include "check.h"

#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };

static struct scenario *scenarios;
static volatile int *reached; /* shared with the child: it said about_to_die() */

void scenario_register(struct scenario *scenario) {
    scenario->next = scenarios;
    scenarios = scenario;
}

void about_to_die(void) { *reached = 1; }

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

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where) {
    (void)info;
    (void)type;
    (void)where;
    remove(path);
    return 0;
}

static void no_core_dump(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &limit);
    }
}

static int judge(const struct scenario *scenario, int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        return SKIPPED;
    }
    if (scenario->dies_of) {
        if (!*reached) {
            fprintf(stderr, "%s: ended early, wait status %#x\n", scenario->name, (unsigned)status);
            return FAILED;
        }
        if (!WIFSIGNALED(status) || WTERMSIG(status) != scenario->dies_of) {
            fprintf(stderr, "%s: wait status %#x, expected death of signal %d\n", scenario->name, (unsigned)status,
                    scenario->dies_of);
            return FAILED;
        }
        return PASSED;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s: wait status %#x\n", scenario->name, (unsigned)status);
        return FAILED;
    }
    return PASSED;
}

static int run(const struct scenario *scenario) {
    const char *base = getenv("TMPDIR");
    char directory[4096];
    pid_t child;
    int status = 0;
    snprintf(directory, sizeof directory, "%s/cr-test-XXXXXX", base && *base ? base : "/tmp");
    reached = (volatile int *)mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (reached == MAP_FAILED || !mkdtemp(directory)) {
        perror(directory);
        return FAILED;
    }
    chmod(directory, 0755); /* some scenarios go on as another user */
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        no_core_dump();
        if (chdir(directory) != 0) {
            perror(directory);
            leave(FAILED);
        }
        scenario->run();
        fflush(NULL);
        leave(PASSED);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        return FAILED;
    }
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return judge(scenario, status);
}

int main(int argc, char **argv) {
    const struct scenario *scenario;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (scenario = scenarios; scenario; scenario = scenario->next) {
            printf("%s\n", scenario->name);
        }
        return PASSED;
    }
    for (scenario = scenarios; argc == 2 && scenario; scenario = scenario->next) {
        if (strcmp(argv[1], scenario->name) == 0) {
            return run(scenario);
        }
    }
    fprintf(stderr, "usage: %s --list | SCENARIO\n", argv[0]);
    return FAILED;
}
