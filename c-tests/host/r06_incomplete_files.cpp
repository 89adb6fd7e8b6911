// CONTRACT §3 row 6: a truncated or half-written file is seen before the running version is touched.
#ifndef __APPLE__ // made of the headers of ELF and PE
#include "fixture.h"
#include "images.h"

#include <atomic>
#include <thread>

namespace {

// One update says no, the next one goes on with the version that has been running all the time.
void is_refused_once(Plugin &p, unsigned version) {
    unsigned next = p.ctx.next_version, last = p.ctx.last_working_version;
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("", p);
    CHECK_CONTEXT(p, version, CR_BAD_IMAGE, next, last);
    CHECK(*cr_plugin_error(p.ctx));
    p.on(CR_STEP, ACT_RETURN, 5);
    CHECK_EQ(5, p.update());
    CHECK_EQ(5, p.update());
    CHECK_TRACE("a.step@1 a.step@1", p);
    CHECK_CONTEXT(p, version, CR_NONE, next, last);
}

void is_refused_at_every_boundary(const char *guest) {
    size_t size = 0;
    char *bytes = read_file(guest_path(guest), &size);
    Plugin p("general_a");
    p.run();
    std::set<size_t> lengths = boundaries(bytes, size);
    CHECK(lengths.size() > 50);
    for (size_t length : lengths) {
        install_bytes(bytes, length, p.path.c_str());
        is_refused_once(p, 1);
    }
    p.on(CR_STEP, ACT_RETURN);
    install_bytes(bytes, size, p.path.c_str());
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    CHECK_TEXT("libguest.so libguest1.so libguest2.so", list("."));
    p.close();
}

} // namespace

SCENARIO(r06_truncated_file_leaves_the_running_version_alone) {
    size_t size = 0;
    char *bytes = read_file(guest_path("large_b"), &size);
    Plugin p("general_a");
    p.run();
    install_bytes(bytes, size / 2, p.path.c_str());
    is_refused_once(p, 1);
    install_bytes(bytes, size - 1, p.path.c_str());
    is_refused_once(p, 1);
    install_bytes(bytes, size, p.path.c_str());
    CHECK_EQ(5, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    p.close();
}

SCENARIO(r06_file_truncated_at_every_boundary) { is_refused_at_every_boundary("large_b"); }

SCENARIO(r06_stripped_file_truncated_at_every_boundary) { is_refused_at_every_boundary("stripped_b"); }

SCENARIO(r06_file_truncated_at_every_boundary_as_the_first) {
    size_t size = 0;
    char *bytes = read_file(guest_path("general_b"), &size);
    Plugin p("general_a");
    for (size_t length : boundaries(bytes, size)) {
        install_bytes(bytes, length, p.path.c_str());
        CHECK_EQ(-2, p.update());
        CHECK(p.ctx.failure == CR_BAD_IMAGE || p.ctx.failure == CR_INITIAL_FAILURE);
        CHECK_EQ(0, p.ctx.version);
        CHECK_EQ(1, p.ctx.next_version);
    }
    install_bytes(bytes, size, p.path.c_str());
    CHECK_EQ(0, p.update());
    CHECK_EQ(2, p.orders.count);
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    p.close();
}

SCENARIO(r06_file_overwritten_in_place_with_a_shorter_one) {
    size_t size = 0;
    char *bytes = read_file(guest_path("large_b"), &size);
    Plugin p("general_a");
    p.run();
    write_file(p.path.c_str(), bytes, 1000);
    p.touch();
    is_refused_once(p, 1);
    write_file(p.path.c_str(), bytes, size);
    p.touch();
    CHECK_EQ(5, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
}

SCENARIO(r06_crash_after_a_refused_file_rolls_back_as_ever) {
    Plugin p("general_a");
    p.run();
    p.run_next("general_b");
    install_bytes("garbage", 7, p.path.c_str());
    CHECK_EQ(-2, p.update());
    p.on(CR_STEP, ACT_NULL_WRITE);
    p.trace();
    CHECK_EQ(-1, p.update());
    CHECK_TRACE("b.step@2", p);
    CHECK_CONTEXT(p, 1, CR_SEGFAULT, 3, 1);
    p.on(CR_STEP, ACT_RETURN);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    p.run(2);
    p.install("general_c");
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 c.load@3 c.step@3", p);
    p.close();
}

SCENARIO(r06_new_file_may_come_right_after_a_refused_one) {
    Plugin p("general_a");
    p.run();
    install_bytes("garbage", 7, p.path.c_str());
    CHECK_EQ(-2, p.update());
    p.install("general_b");
    CHECK_EQ(0, p.update()); // clears the failure and steps, or loads already
    CHECK_EQ(0, p.update());
    CHECK_EQ(2, p.ctx.version);
    p.close();
}

SCENARIO(r06_slow_writer_never_disturbs_the_running_guest) {
    // A file that is filled over two seconds, while the host polls a thousand times a second.
    size_t size = 0;
    char *bytes = read_file(guest_path("large_b"), &size);
    Plugin p("general_a");
    p.run();
    std::atomic<bool> last_write{false};
    std::thread writer([&] {
        const size_t pieces = 200;
        FILE *file = std::fopen(p.path.c_str(), "wb");
        CHECK(file);
        std::setvbuf(file, nullptr, _IONBF, 0);
        for (size_t i = 0; i < pieces; ++i) {
            size_t from = size * i / pieces, to = size * (i + 1) / pieces;
            last_write = i + 1 == pieces;
            CHECK_EQ(to - from, std::fwrite(bytes + from, 1, to - from, file));
            usleep(10000);
        }
        std::fclose(file);
    });
    int steps = 0, refusals = 0;
    p.on(CR_STEP, ACT_RETURN, 5);
    while (p.ctx.version == 1) {
        bool complete = last_write;
        int result = p.update();
        if (!complete && !last_write) {
            CHECK_EQ(1, p.ctx.version);
            CHECK_EQ(2, p.ctx.next_version);
        }
        if (result == 5) {
            ++steps;
        } else {
            ++refusals;
            CHECK_EQ(-2, result);
            CHECK_EQ(CR_BAD_IMAGE, p.ctx.failure);
        }
        std::string trace = p.trace();
        if (p.ctx.version == 1) {
            CHECK(trace.find("load") == std::string::npos); // nor unload
        } else {
            CHECK_TEXT("a.unload@1 b.load@2 b.step@2", trace.c_str());
        }
        usleep(1000);
    }
    writer.join();
    CHECK(steps > 50);
    CHECK(refusals <= 2 * 200 + 2); // at most one for each state of the file
    CHECK_CONTEXT(p, 2, CR_NONE, 3, 1);
    CHECK_TEXT("libguest.so libguest1.so libguest2.so", list("."));
    p.close();
}

#endif
