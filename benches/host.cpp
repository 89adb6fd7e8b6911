// The benchmarks as a host would live them, for this library and for the original.
//
// host WHAT GUEST COUNT [ROUNDS] prints one number, the median time of WHAT in nanoseconds. `cargo xtask bench` runs it.
#define CR_HOST
#include "cr.h"

#include <cstdio>
#include <cstdlib>
#include <vector>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace {

double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

} // namespace

#include "measure.h"

namespace {

// Newer by whole seconds: the original sees nothing less.
void touch(const char *path) {
    static long seconds = 1000000000;
    timespec times[2] = {{seconds, 0}, {seconds, 0}};
    seconds += 2;
    utimensat(AT_FDCWD, path, times, 0);
}

struct Bench {
    cr_plugin ctx;
    int crash = 0;
    const char *guest;

    explicit Bench(const char *guest, unsigned flags = 0) : guest(guest) {
        touch();
        ctx.userdata = &crash;
        if (!open(flags)) {
            std::exit(2);
        }
        update();
    }
    ~Bench() { cr_plugin_close(ctx); }

    bool open(unsigned flags) {
#if defined(CR_OPTIONS_INIT)
        if (flags) {
            cr_options options = CR_OPTIONS_INIT;
            options.flags = flags;
            return cr_plugin_open_with(ctx, guest, options);
        }
#endif
        return cr_plugin_open(ctx, guest) && flags == 0;
    }

    void update(bool check = true) {
        if (cr_plugin_update(ctx, check) != 0 && !crash) {
            std::exit(3);
        }
    }

    void touch() { ::touch(guest); }
};

// Copies the guest and loads the copy, the plain way.
void *load_copy(const char *guest, const char *path) {
    int from = open(guest, O_RDONLY), to = open(path, O_WRONLY | O_CREAT | O_EXCL, 0700);
    struct stat info;
    fstat(from, &info);
    for (off_t done = 0; done < info.st_size;) {
        ssize_t copied = sendfile(to, from, &done, static_cast<size_t>(info.st_size - done));
        if (copied <= 0) {
            std::exit(5);
        }
    }
    close(from);
    close(to);
    void *handle = dlopen(path, RTLD_NOW);
    if (!handle || !dlsym(handle, "cr_main")) {
        std::exit(5);
    }
    return handle;
}

// What a reload cannot do without: unload, copy, load, find the entry point.
double relink(const char *guest, int count) {
    void *handle = nullptr;
    int number = 0;
    std::string path;
    auto remove = [&] {
        unlink(path.c_str());
        path = std::string(guest) + "." + std::to_string(number++);
    };
    double time = alone(count, remove, [&] {
        if (handle) {
            dlclose(handle);
        }
        handle = load_copy(guest, path.c_str());
    });
    remove();
    return time;
}

// What opening and closing a plugin cannot do without, if no file is to stay.
double once(const char *guest, int count) {
    const std::string path = std::string(guest) + ".once";
    return alone(
        count, [] {},
        [&] {
            dlclose(load_copy(guest, path.c_str()));
            unlink(path.c_str());
        });
}

double resident() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) * 1024;
}

double measure(const std::string &what, const char *guest, int count) {
    if (what == "nothing") {
        return 0;
    }
    if (what == "call") {
        void *handle = dlopen(guest, RTLD_NOW);
        cr_plugin_main_func volatile entry =
            reinterpret_cast<cr_plugin_main_func>(handle ? dlsym(handle, "cr_main") : nullptr);
        cr_plugin ctx = {};
        return entry ? each(count, [&] { entry(&ctx, CR_STEP); }) : 0;
    }
    if (what == "ask") {
        int queue = inotify_init1(IN_NONBLOCK), waiting = 0;
        inotify_add_watch(queue, guest, IN_MODIFY);
        return each(count, [&] { ioctl(queue, FIONREAD, &waiting); });
    }
    if (what == "relink") {
        return relink(guest, count);
    }
    if (what == "once") {
        return once(guest, count);
    }
    if (what == "relink_memcpy") {
        return relink(guest, count) + measure("memcpy", guest, count);
    }
    if (what == "memcpy") { // out of one version and into the next: megabytes by the first digits of the guest's name
        const char *name = std::strrchr(guest, '/') + std::strlen("/libstate");
        const size_t size = std::strtoul(name, nullptr, 10) << 20;
        std::vector<char> from(size, 1), between(size, 2), to(size, 3);
        return alone(
            count, [] {},
            [&] {
                std::memcpy(between.data(), from.data(), size);
                std::memcpy(to.data(), between.data(), size);
            });
    }
    if (what == "open_close") {
        // The original leaves its copy behind, and would write into it the next time instead of making one.
        const std::string copy = std::string(guest, std::strlen(guest) - std::strlen(".so")) + "1.so";
        return alone(
            count, [&] { unlink(copy.c_str()); }, [&] { Bench bench(guest); });
    }
    if (what == "many") {
        std::vector<Bench *> benches;
        const int number = count > 1 ? 1000 : 20;
        for (int i = 0; i < number; ++i) {
            std::string copy = std::string(guest) + "." + std::to_string(i) + "x.so";
            symlink(guest, copy.c_str());
            benches.push_back(new Bench(strdup(copy.c_str())));
        }
        for (int i = 0; i < 40; ++i) {
            for (Bench *bench : benches) {
                bench->update();
            }
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
        return time / number;
    }
#if defined(CR_OPTIONS_INIT)
    if (what == "update_watch") {
        Bench bench(guest, CR_WATCH);
        usleep(300000); // until the thread has looked
        return each(count, [&] { bench.update(); });
    }
    if (what == "noticed_watch") {
        Bench bench(guest, CR_WATCH);
        return alone(
            count,
            [&] {
                usleep(100000);
                bench.touch();
            },
            [&] {
                for (unsigned version = bench.ctx.version; bench.ctx.version == version;) {
                    bench.update();
                }
            });
    }
    if (what == "guarded_call") {
        Bench bench(guest);
        cr_guest_func function = reinterpret_cast<cr_guest_func>(cr_plugin_symbol(bench.ctx, "guest_function"));
        return each(count, [&] { cr_plugin_call(bench.ctx, function, nullptr); });
    }
#endif
    const double before = resident();
    Bench bench(guest);
    if (what == "update") {
        return each(count, [&] { bench.update(false); });
    }
    if (what == "update_check") {
        for (int i = 0; i < 40; ++i) {
            bench.update();
        }
        return each(count, [&] { bench.update(); });
    }
    if (what == "reload") {
        return alone(
            count, [&] { bench.touch(); }, [&] { bench.update(); });
    }
    if (what == "memory") {
        for (int i = 0; i < count; ++i) {
            bench.touch();
            bench.update();
        }
        return resident() - before;
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
    if (argc != 4 && argc != 5) {
        return 1;
    }
    if (argc == 5) {
        rounds = std::atoi(argv[4]);
    }
    std::printf("%.2f\n", measure(argv[1], argv[2], std::atoi(argv[3])));
}
