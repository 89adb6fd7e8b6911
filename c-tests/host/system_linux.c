/* See system.h. */
#ifdef __linux__
#define _GNU_SOURCE /* mallinfo2 */
#include "check.h"
#include "files.h"
#include "system.h"

#include <dirent.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

void end_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

int count_mapped(const char *text) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[PATH_MAX + 128];
    int count = 0;
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        count += strstr(line, text) != NULL;
    }
    fclose(maps);
    return count;
}

/* With the two that every directory has. */
static int count_entries(const char *path) {
    DIR *directory = opendir(path);
    int count = 0;
    CHECK(directory != NULL);
    while (readdir(directory)) {
        ++count;
    }
    closedir(directory);
    return count;
}

int count_descriptors(void) { return count_entries("/proc/self/fd"); }

int count_threads(void) { return count_entries("/proc/self/task") - 2; }

size_t memory_in_use(void) {
#ifdef __GLIBC__
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    skip("the C library does not tell how much memory is in use");
#endif
}

#endif
