// The benchmarks as a host would live them, for this library and for the original: only what both headers have.
//
// host WHAT GUEST COUNT prints one number: the median time of WHAT in nanoseconds. `cargo xtask bench` runs it.
#define CR_HOST
#include "cr.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace {

double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> &values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// The median of a few rounds of many calls each: for what takes nanoseconds.
template <class Call> double each(int count, Call call) {
    std::vector<double> rounds;
    for (int round = 0; round < 9; ++round) {
        double begin = now();
        for (int i = 0; i < count; ++i) {
            call();
        }
        rounds.push_back((now() - begin) / count);
    }
    return median(rounds);
}

// The median of single times: for what takes microseconds. `prepare` is not measured.
template <class Prepare, class Call> double alone(int count, Prepare prepare, Call call) {
    std::vector<double> times;
    for (int i = 0; i < count; ++i) {
        prepare();
        double begin = now();
        call();
        times.push_back(now() - begin);
    }
    return median(times);
}

struct Bench {
    cr_plugin ctx;
    int crash = 0;
    const char *guest;

    explicit Bench(const char *guest) : guest(guest) {
        touch();
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

    // Newer by whole seconds: the original sees nothing less.
    void touch() {
        static long seconds = 1000000000;
        timespec times[2] = {{seconds, 0}, {seconds, 0}};
        seconds += 2;
        utimensat(AT_FDCWD, guest, times, 0);
    }
};

double measure(const std::string &what, const char *guest, int count) {
    if (what == "call") {
        void *handle = dlopen(guest, RTLD_NOW);
        cr_plugin_main_func volatile entry =
            reinterpret_cast<cr_plugin_main_func>(handle ? dlsym(handle, "cr_main") : nullptr);
        cr_plugin ctx = {};
        return entry ? each(count, [&] { entry(&ctx, CR_STEP); }) : 0;
    }
    if (what == "stat") {
        struct stat info;
        return each(count, [&] { stat(guest, &info); });
    }
    if (what == "open_close") {
        return alone(
            count, [] {}, [&] { Bench bench(guest); });
    }
    if (what == "many") {
        std::vector<Bench *> benches;
        for (int i = 0; i < 200; ++i) {
            std::string copy = std::string(guest) + "." + std::to_string(i) + "x.so";
            symlink(guest, copy.c_str());
            benches.push_back(new Bench(strdup(copy.c_str())));
        }
        double time = each(count, [&] {
            for (Bench *bench : benches) {
                bench->update();
            }
        });
        for (Bench *bench : benches) {
            unlink(bench->guest);
            delete bench;
        }
        return time / 200;
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
            count, [&] { bench.touch(); }, [&] { bench.update(); });
    }
    if (what == "crash_rollback") {
        auto fresh = [&] {
            bench.touch();
            bench.update();
            bench.crash = 1;
        };
        return alone(count, fresh, [&] {
            bench.update(false);
            bench.crash = 0;
            bench.update(false);
        });
    }
    std::exit(4);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        return 1;
    }
    std::printf("%.2f\n", measure(argv[1], argv[2], std::atoi(argv[3])));
}
