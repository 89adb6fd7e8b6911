/* See system.h. */
#ifndef _WIN32
#define _GNU_SOURCE /* nftw */
#include "check.h"
#include "files.h"
#include "system.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static volatile int *reached; /* shared with the child: it said about_to_die() */

void about_to_die(void) { *reached = 1; }

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

int run_apart(const struct scenario *scenario) {
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
        end_with_parent();
        no_core_dump();
        if (chdir(directory) != 0) {
            perror(directory);
            _exit(FAILED);
        }
        scenario->run();
        fflush(NULL);
        _exit(PASSED);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        return FAILED;
    }
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return judge(scenario, status);
}

int replace_file(const char *from, const char *to) { return rename(from, to); }

int set_modified(const char *path, long long seconds, long nanoseconds) {
    struct timespec times[2];
    times[0].tv_sec = times[1].tv_sec = (time_t)seconds;
    times[0].tv_nsec = times[1].tv_nsec = nanoseconds;
    return utimensat(AT_FDCWD, path, times, 0);
}

long number_of_dead_process(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        _exit(0);
    }
    CHECK_EQ(child, waitpid(child, NULL, 0));
    return child;
}

#endif
