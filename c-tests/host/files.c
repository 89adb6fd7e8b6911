#define _GNU_SOURCE /* asprintf */
#include "files.h"

#include "check.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *path_of(const char *name) {
    char here[PATH_MAX];
    char *path = NULL;
    CHECK(getcwd(here, sizeof here) != NULL);
    CHECK(asprintf(&path, "%s" SEPARATOR "%s", here, name) > 0);
    return path;
}

char *guest_path(const char *guest) {
    const char *directory = getenv("CR_TEST_GUESTS");
    char *path = NULL;
    if (!directory) {
        check_failed(__FILE__, __LINE__, "CR_TEST_GUESTS is not set");
    }
    CHECK(asprintf(&path, "%s" SEPARATOR "%s.so", directory, guest) > 0);
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
    CHECK_EQ(0, replace_file(other, path));
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
    CHECK_EQ(0, set_modified(path, 1700000000LL + seconds, nanoseconds));
}

int file_exists(const char *path) {
    struct stat info;
#ifdef _WIN32
    return stat(path, &info) == 0;
#else
    return lstat(path, &info) == 0;
#endif
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

static int by_name(const void *one, const void *other) {
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

char *list(const char *directory) {
    DIR *files = opendir(directory);
    struct dirent *entry;
    char *found[1024];
    char *names;
    size_t count = 0, length = 1, i;
    CHECK(files != NULL);
    while ((entry = readdir(files)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            CHECK(count < sizeof found / sizeof *found);
            found[count] = strdup(entry->d_name);
            length += strlen(found[count++]) + 1;
        }
    }
    closedir(files);
    qsort(found, count, sizeof *found, by_name);
    names = (char *)calloc(length, 1);
    CHECK(names != NULL);
    for (i = 0; i < count; ++i) {
        strcat(strcat(names, i ? " " : ""), found[i]);
        free(found[i]);
    }
    return names;
}
