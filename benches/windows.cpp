// The benchmarks for Windows, for this library and for the original, built by MinGW.
//
// windows WHAT GUEST COUNT prints one number, the median time of WHAT in nanoseconds.
#define CR_HOST
#include "cr.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include <windows.h>

namespace {

double now() {
    LARGE_INTEGER time, second;
    QueryPerformanceCounter(&time);
    QueryPerformanceFrequency(&second);
    return static_cast<double>(time.QuadPart) * 1e9 / static_cast<double>(second.QuadPart);
}

} // namespace

#include "measure.h"

namespace {

// Newer by whole seconds: the original sees nothing less.
void touch(const char *path) {
    static long long seconds = 1000000000;
    long long ticks = ((seconds += 2) + 11644473600LL) * 10000000; // counted from 1601
    FILETIME modified = {DWORD(ticks), DWORD(ticks >> 32)};
    HANDLE file = CreateFileA(path, FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr, OPEN_EXISTING,
                              0, nullptr);
    SetFileTime(file, nullptr, nullptr, &modified);
    CloseHandle(file);
}

struct Bench {
    cr_plugin ctx;
    int crash = 0;
    const char *guest;

    explicit Bench(const char *path) : guest(path) {
        touch(guest);
        ctx.userdata = &crash;
        if (!cr_plugin_open(ctx, guest)) {
            std::exit(2);
        }
        update();
    }
    ~Bench() { cr_plugin_close(ctx); }

    void update(bool check = true) {
        if (cr_plugin_update(ctx, check) != 0 && !crash) {
            std::exit(3);
        }
    }

    void reload() {
        unsigned version = ctx.version;
        update();
        if (ctx.version <= version) {
            std::exit(4);
        }
    }
};

// What a reload cannot do without: unload, copy, load, find the entry point.
double relink(const char *guest, int count) {
    HMODULE handle = nullptr;
    int number = 0;
    std::string path;
    auto remove = [&] {
        DeleteFileA(path.c_str());
        path = std::string("relink") + std::to_string(number++) + ".dll";
    };
    double time = alone(count, remove, [&] {
        if (handle) {
            FreeLibrary(handle);
        }
        CopyFileA(guest, path.c_str(), TRUE);
        handle = LoadLibraryA(path.c_str());
        if (!handle || !GetProcAddress(handle, "cr_main")) {
            std::exit(5);
        }
    });
    FreeLibrary(handle);
    remove();
    return time;
}

double measure(const std::string &what, const char *guest, int count) {
    if (what == "relink") {
        return relink(guest, count);
    }
    Bench bench(guest);
    if (what == "update") {
        return each(count, [&] { bench.update(false); });
    }
    if (what == "update_check") {
        return each(count, [&] { bench.update(); });
    }
    if (what == "reload") {
        return alone(
            count, [&] { touch(guest); }, [&] { bench.reload(); });
    }
    if (what == "crash_rollback") {
        auto fresh = [&] {
            touch(guest);
            bench.reload();
            bench.crash = 1;
        };
        return alone(count, fresh, [&] {
            bench.update(false);
            bench.crash = 0;
            bench.update(false);
        });
    }
    std::exit(1);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        return 1;
    }
    std::printf("%.1f\n", measure(argv[1], argv[2], std::atoi(argv[3])));
}
