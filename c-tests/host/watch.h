// For scenarios about how changes of files are noticed.
#ifndef CR_TEST_WATCH_H
#define CR_TEST_WATCH_H

#include "fixture.h"
#include "system.h"

#ifdef __linux__
#include <sys/vfs.h>
#endif

namespace {

#ifdef __linux__

// Inodes that this process watches.
int count_watches() {
    int count = 0;
    for (int fd = 0; fd < 1100; ++fd) {
        std::FILE *file = std::fopen(("/proc/self/fdinfo/" + std::to_string(fd)).c_str(), "r");
        char line[512];
        while (file && std::fgets(line, sizeof line, file)) {
            count += std::strncmp(line, "inotify wd:", 11) == 0;
        }
        if (file) {
            std::fclose(file);
        }
    }
    return count;
}

// Does the file system at this path tell of all changes? The same list as the library's, by hand.
bool tells(const char *path) {
    struct statfs info;
    CHECK_EQ(0, statfs(path, &info));
    switch (static_cast<unsigned>(info.f_type)) {
    case 0xef53:     // ext2, ext3, ext4
    case 0x58465342: // XFS
    case 0x9123683e: // btrfs
    case 0x01021994: // tmpfs
        return true;
    default:
        return false;
    }
}

#else

// None: it is asked what the file is like, in a way that takes less than to look at it.
int count_watches() { return 0; }

#endif

// Updates until the changes of the file are subscribed to, which is the case for the scenario that follows.
void calm_down(Plugin &p) {
    p.run();
    const unsigned version = p.ctx.version;
    p.run(40);
    CHECK_EQ(version, p.ctx.version);
#ifdef __linux__
    if (!tells(".") || !tells("/")) {
        skip("the file system here is none that tells of changes");
    }
    CHECK(count_watches() > 0);
#endif
}

// The next update loads a new version, and those after it do not.
void is_noticed(Plugin &p, char marker) {
    const unsigned version = p.ctx.next_version;
    CHECK_EQ(0, p.update());
    CHECK_EQ(version, p.ctx.version);
    CHECK_EQ(marker, p.orders.events[p.orders.count - 1].marker);
    p.trace();
    p.run(5);
    CHECK_EQ(version, p.ctx.version);
}

void make_directory(const char *path) { CHECK_EQ(0, mkdir(path, 0755)); }

} // namespace

#endif
