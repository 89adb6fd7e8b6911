// CONTRACT §3 row 10: a file system that is really full.
#ifdef __linux__
#include "fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

SCENARIO(r10_full_file_system) {
    Plugin p("general_a");
    CHECK_EQ(0, mkdir("small", 0755));
    // Room for the first version, not for a second one.
    std::string size = "size=" + std::to_string(file_size(guest_path("general_a")) / 1024 + 32) + "k";
    // In a name space of its own: the mount goes with this process.
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "small", "tmpfs", 0, size.c_str()) != 0) {
        skip("mounting a small file system needs root");
    }
    cr_set_temporary_path(p.ctx, path_of("small"));
    p.run();
    p.install("large_b");
    int steps = 0, refusals = 0;
    for (int i = 0; i < 6; ++i) {
        int result = p.update();
        CHECK(result == 0 || result == -2);
        ++(result ? refusals : steps);
        CHECK_CONTEXT(p, 1, result ? CR_BAD_IMAGE : CR_NONE, 2, 0);
    }
    CHECK(steps >= 3 && refusals >= 1);
    CHECK_CONTAINS("No space left", cr_plugin_error(p.ctx));
    CHECK_TEXT("libguest1.so", list("small"));
    CHECK_EQ(0, mount("none", "small", "tmpfs", MS_REMOUNT, "size=1m"));
    for (int i = 0; i < 3 && p.ctx.version == 1; ++i) {
        p.update();
    }
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.close();
    CHECK_TEXT("", list("small"));
}

#endif
