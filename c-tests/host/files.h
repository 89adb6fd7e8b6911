/* What hosts do with files: put guests in place in every way that a compiler, an editor or a bad day may. */
#ifndef CR_TEST_FILES_H
#define CR_TEST_FILES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The absolute path of a file of the scenario's directory. From malloc; who needs few of them may forget them. */
char *path_of(const char *name);

/* The path of a guest as it was built; never written to. From malloc. */
char *guest_path(const char *guest);

/* The whole content of a file, from malloc. */
char *read_file(const char *path, size_t *size);

/* Creates or truncates a file and fills it. */
void write_file(const char *path, const void *bytes, size_t size);

/* Puts a guest into place as a linker that is well behaved does: written under another name, then renamed. Its time
 * of modification is whole seconds later than that of any other file that was installed or touched. */
void install(const char *guest, const char *path);

/* The same with any bytes. */
void install_bytes(const void *bytes, size_t size, const char *path);

/* Makes a file newer, by a second. */
void touch(const char *path);

/* Sets the time of modification: seconds from a day long ago, where installed and touched files count up from, and
 * nanoseconds. */
void set_time(const char *path, long seconds, long nanoseconds);

int file_exists(const char *path);
long file_size(const char *path);

/* Equal content? */
int same_file(const char *one, const char *other);

/* The names in a directory, sorted, with a space between: "a b c". From malloc. */
char *list(const char *directory);

/* How many mapped files, or parts of them, have a name that contains the text ("" for all). */
int count_mapped(const char *text);

/* Open descriptors of this process. */
int count_descriptors(void);

/* Bytes of malloc memory in use. */
size_t memory_in_use(void);

#ifdef __cplusplus
}
#endif

#endif
