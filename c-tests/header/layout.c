/*
 * The numbers that compiled guests and hosts rely on, for C and C++ of every age.
 */
#include <stddef.h>
#include "cr.h"
#include "cr.h"

#define CHECK(name, condition) extern char name[(condition) ? 1 : -1]

CHECK(safest, CR_SAFEST == 0);
CHECK(safe, CR_SAFE == 1);
CHECK(unsafe, CR_UNSAFE == 2);
CHECK(disable, CR_DISABLE == 3);

CHECK(load, CR_LOAD == 0);
CHECK(step, CR_STEP == 1);
CHECK(unload, CR_UNLOAD == 2);
CHECK(close_, CR_CLOSE == 3);

CHECK(none, CR_NONE == 0);
CHECK(segfault, CR_SEGFAULT == 1);
CHECK(illegal, CR_ILLEGAL == 2);
CHECK(abort_, CR_ABORT == 3);
CHECK(misalign, CR_MISALIGN == 4);
CHECK(bounds, CR_BOUNDS == 5);
CHECK(stackoverflow, CR_STACKOVERFLOW == 6);
CHECK(state_invalidated, CR_STATE_INVALIDATED == 7);
CHECK(bad_image, CR_BAD_IMAGE == 8);
CHECK(initial_failure, CR_INITIAL_FAILURE == 9);
CHECK(other, CR_OTHER == 10);
CHECK(user, CR_USER == 0x100);

CHECK(p, offsetof(struct cr_plugin, p) == 0);
CHECK(userdata, offsetof(struct cr_plugin, userdata) == sizeof(void *));
CHECK(version, offsetof(struct cr_plugin, version) == 2 * sizeof(void *));
CHECK(failure, offsetof(struct cr_plugin, failure) == 2 * sizeof(void *) + 4);
CHECK(next_version, offsetof(struct cr_plugin, next_version) == 2 * sizeof(void *) + 8);
CHECK(last_working_version, offsetof(struct cr_plugin, last_working_version) == 2 * sizeof(void *) + 12);
CHECK(plugin, sizeof(struct cr_plugin) == 2 * sizeof(void *) + 16);
CHECK(plugin_64_bit, sizeof(void *) != 8 || sizeof(struct cr_plugin) == 32);

#ifdef CR_HOST
CHECK(error, CR_LOG_LEVEL_ERROR == 0);
CHECK(info, CR_LOG_LEVEL_INFO == 1);
CHECK(trace, CR_LOG_LEVEL_TRACE == 2);

CHECK(options_size, offsetof(struct cr_options, size) == 0);
CHECK(options_mode, offsetof(struct cr_options, mode) == sizeof(size_t));
CHECK(options_main_func, offsetof(struct cr_options, main_func) == 2 * sizeof(void *));
CHECK(options_temporary_path, offsetof(struct cr_options, temporary_path) == 3 * sizeof(void *));
CHECK(options_log, offsetof(struct cr_options, log) == 4 * sizeof(void *));
CHECK(options_log_data, offsetof(struct cr_options, log_data) == 5 * sizeof(void *));
CHECK(options_malloc, offsetof(struct cr_options, malloc_func) == 6 * sizeof(void *));
CHECK(options_realloc, offsetof(struct cr_options, realloc_func) == 7 * sizeof(void *));
CHECK(options_free, offsetof(struct cr_options, free_func) == 8 * sizeof(void *));

/* C++ sees classes here, and they must lie like the pointers that they are. */
CHECK(fullname, offsetof(struct cr_internal, fullname) == 0);
CHECK(temppath, offsetof(struct cr_internal, temppath) == sizeof(void *));
CHECK(handle, offsetof(struct cr_internal, handle) == 2 * sizeof(void *));
CHECK(internal, sizeof(struct cr_internal) >= 3 * sizeof(void *));
#endif
