#define _GNU_SOURCE /* mallinfo2, asprintf */
#include "files.h"

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *path_of(const char *name) {
    char here[PATH_MAX];
    char *path = NULL;
    CHECK(getcwd(here, sizeof here) != NULL);
    CHECK(asprintf(&path, "%s/%s", here, name) > 0);
    return path;
}

char *guest_path(const char *guest) {
    const char *directory = getenv("CR_TEST_GUESTS");
    char *path = NULL;
    if (!directory) {
        check_failed(__FILE__, __LINE__, "CR_TEST_GUESTS is not set");
    }
    CHECK(asprintf(&path, "%s/%s.so", directory, guest) > 0);
    if (!file_exists(path)) {
        skip("%s was not built: its compiler or linker is not installed", guest);
    }
    return path;
}

char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    long length = file_size(path);
    char *bytes = (char *)malloc(length > 0 ? (size_t)length : 1);
    CHECK(file && bytes && length >= 0);
    CHECK_EQ(length, fread(bytes, 1, (size_t)length, file));
    fclose(file);
    *size = (size_t)length;
    return bytes;
}

void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file) {
        check_failed(__FILE__, __LINE__, "cannot write %s", path);
    }
    CHECK_EQ(size, fwrite(bytes, 1, size, file));
    CHECK_EQ(0, fclose(file));
}

void install_bytes(const void *bytes, size_t size, const char *path) {
    /* In the same directory, for the sake of rename; short, for names may be as long as can be. */
    static int count;
    const char *slash = strrchr(path, '/');
    char *other = NULL;
    CHECK(asprintf(&other, "%.*s.new%d", slash ? (int)(slash + 1 - path) : 0, path,
                   __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED)) > 0);
    write_file(other, bytes, size);
    chmod(other, 0755);
    touch(other);
    CHECK_EQ(0, rename(other, path));
    free(other);
}

void install(const char *guest, const char *path) {
    size_t size = 0;
    char *from = guest_path(guest);
    char *bytes = read_file(from, &size);
    install_bytes(bytes, size, path);
    free(bytes);
    free(from);
}

void touch(const char *path) {
    static long last; /* threads may touch files at the same time */
    set_time(path, __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED), 0);
}

void set_time(const char *path, long seconds, long nanoseconds) {
    struct timespec times[2];
    times[0].tv_sec = times[1].tv_sec = 1700000000 + seconds;
    times[0].tv_nsec = times[1].tv_nsec = nanoseconds;
    CHECK_EQ(0, utimensat(AT_FDCWD, path, times, 0));
}

int file_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

long file_size(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (long)info.st_size : -1;
}

int same_file(const char *one, const char *other) {
    size_t one_size = 0, other_size = 0;
    char *one_bytes = read_file(one, &one_size);
    char *other_bytes = read_file(other, &other_size);
    int same = one_size == other_size && memcmp(one_bytes, other_bytes, one_size) == 0;
    free(one_bytes);
    free(other_bytes);
    return same;
}

char *list(const char *directory) {
    struct dirent **entries = NULL;
    int i, count = scandir(directory, &entries, NULL, alphasort);
    char *names = (char *)calloc(1, 1);
    size_t length = 0;
    CHECK(count >= 0 && names);
    for (i = 0; i < count; ++i) {
        const char *name = entries[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            names = (char *)realloc(names, length + strlen(name) + 2);
            CHECK(names != NULL);
            length += (size_t)sprintf(names + length, "%s%s", length ? " " : "", name);
        }
        free(entries[i]);
    }
    free(entries);
    return names;
}

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

int count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    CHECK(directory != NULL);
    while (readdir(directory)) {
        ++count;
    }
    closedir(directory);
    return count;
}

size_t memory_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
