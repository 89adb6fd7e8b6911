/* See system.h. Written by the documents of the system, and never run. */
#ifdef __APPLE__
#include "check.h"
#include "files.h"
#include "system.h"

#include <fcntl.h>
#include <mach-o/dyld.h>
#include <malloc/malloc.h>
#include <string.h>

/* There is no such request; whoever has started the tests ends all that is left of them. */
void end_with_parent(void) {}

int count_mapped(const char *text) {
    int count = 0;
    uint32_t index;
    for (index = 0; index < _dyld_image_count(); ++index) {
        const char *name = _dyld_get_image_name(index);
        count += name != NULL && strstr(name, text) != NULL;
    }
    return count;
}

int count_descriptors(void) {
    int count = 0, descriptor;
    for (descriptor = 0; descriptor < getdtablesize(); ++descriptor) {
        count += fcntl(descriptor, F_GETFD) != -1;
    }
    return count;
}

size_t memory_in_use(void) { return mstats().bytes_used; }

#endif
