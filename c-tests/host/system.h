/* What the tests need of the system beyond C and C++: POSIX as it is, and on Windows what stands for it.
 *
 * Scenarios that are about POSIX itself are left out there, and those about Linux elsewhere; windows.list and macos.list
 * name each with its reason. */
#ifndef CR_TEST_SYSTEM_H
#define CR_TEST_SYSTEM_H

#include <signal.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef _WIN32

#include <direct.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>

/* The numbers that cr_plugin.failure and SCENARIO_DIES have for exceptions that are no signals there. */
#define SIGTRAP 5
#define SIGBUS 7

/* What texts call a crash. */
#define NAME_OF_SIGSEGV "EXCEPTION_ACCESS_VIOLATION"
#define NAME_OF_SIGILL "EXCEPTION_ILLEGAL_INSTRUCTION"
#define NAME_OF_SIGBUS "EXCEPTION_DATATYPE_MISALIGNMENT"
#define NAME_OF_SIGFPE "EXCEPTION_INT_DIVIDE_BY_ZERO"
#define NAME_OF_SIGTRAP "EXCEPTION_BREAKPOINT"

#define SEPARATOR "\\"
/* The nanoseconds of the smallest difference between the times of files. */
#define TIME_STEP 100

/* Files get their rights from their directory. */
#define mkdir(path, mode) _mkdir(path)
#define setenv(name, value, overwrite) _putenv_s(name, value)
#define pipe(ends) _pipe(ends, 65536, _O_BINARY)

#ifdef __cplusplus
extern "C" {
#endif

#define RTLD_NOW 0
#define RTLD_LOCAL 0
void *dlopen(const char *path, int flags);
void *dlsym(void *library, const char *name);
int dlclose(void *library);
const char *dlerror(void);
pid_t getppid(void);
int link(const char *from, const char *to);

#ifdef __cplusplus
}
#endif

#else

#include <dlfcn.h>
#include <sys/wait.h>

#define NAME_OF_SIGSEGV "SIGSEGV"
#define NAME_OF_SIGILL "SIGILL"
#define NAME_OF_SIGBUS "SIGBUS"
#define NAME_OF_SIGFPE "SIGFPE"
#define NAME_OF_SIGTRAP "SIGTRAP"

#define SEPARATOR "/"
#define TIME_STEP 1

#endif

#ifdef __cplusplus
extern "C" {
#endif

struct scenario;

/* Runs a scenario in a process of its own, in a new directory of its own, which is removed afterwards. Returns
 * PASSED, FAILED or SKIPPED. */
int run_apart(const struct scenario *scenario);

/* POSIX: lets this process end when the one that has made it does, where the system can do that. */
void end_with_parent(void);

/* Renames a file, over another one if it is there. 0, or -1 if it cannot be done. */
int replace_file(const char *from, const char *to);

/* Sets the time of modification, in seconds and nanoseconds since 1970. 0, or -1. */
int set_modified(const char *path, long long seconds, long nanoseconds);

/* The number of a process that has ended. */
long number_of_dead_process(void);

#if defined(__linux__) || defined(_WIN32)
/* How many threads this process has. */
int count_threads(void);
#endif

#ifdef __cplusplus
}
#endif

#endif
