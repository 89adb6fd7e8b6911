// The record of a crash: what happened, where, and how the guest got there.
#include "controlled.h"

#include "../guest/crashing.h"

#include <csignal>
#include <thread>

#ifdef _WIN32
#include <windows.h>
#define CODE_OF_SIGSEGV EXCEPTION_ACCESS_VIOLATION
#define C_LIBRARY "msvcrt"
#define thread_number() GetCurrentThreadId()
#elif defined(__APPLE__)
#include <pthread.h>
#define CODE_OF_SIGSEGV SIGSEGV
#define C_LIBRARY "libsystem"
static unsigned long long thread_number() {
    uint64_t number = 0;
    pthread_threadid_np(nullptr, &number);
    return number;
}
#else
#include <sys/syscall.h>
#define CODE_OF_SIGSEGV SIGSEGV
#define C_LIBRARY "libc"
#define thread_number() syscall(SYS_gettid)
#endif

namespace {

const char SOURCE[] = "crashing.cpp";

// The line of the guest's source that has this mark.
unsigned line_of(const char *mark) {
    static std::string path = std::string(__FILE__).substr(0, std::string(__FILE__).rfind("/host/")) + "/guest/";
    FILE *file = std::fopen((path + SOURCE).c_str(), "r");
    CHECK(file);
    char line[256];
    unsigned found = 0;
    for (unsigned number = 1; !found && std::fgets(line, sizeof line, file); ++number) {
        if (std::strstr(line, ("// mark: " + std::string(mark) + "\n").c_str())) {
            found = number;
        }
    }
    std::fclose(file);
    CHECK(found);
    return found;
}

struct Crashing {
    cr_plugin ctx;
    crashing orders = {-1, CRASH_NOT, nullptr};

    explicit Crashing(const char *guest, cr_options options = CR_OPTIONS_INIT) {
        install(guest, path_of("libguest.so"));
        ctx.userdata = &orders;
        CHECK(cr_plugin_open_with(ctx, path_of("libguest.so"), options));
        CHECK_EQ(0, cr_plugin_update(ctx));
        CHECK(cr_plugin_crash(ctx) == nullptr);
    }
    ~Crashing() { cr_plugin_close(ctx); }

    // Crashes in a step.
    const cr_crash &crash(crash_kind kind) {
        orders.operation = CR_STEP;
        orders.kind = kind;
        CHECK_EQ(-1, cr_plugin_update(ctx));
        orders.operation = -1;
        const cr_crash *crash = cr_plugin_crash(ctx);
        CHECK(crash);
        CHECK_EQ(sizeof(cr_crash), crash->size);
        CHECK_EQ(ctx.failure, crash->failure);
        CHECK(crash->frame_count > 0);
        return *crash;
    }
};

bool contains(const char *text, const char *part) { return text && std::strstr(text, part); }

// The frame of a function whose name contains the text, from this one on.
const cr_crash_frame &frame_of(const cr_crash &crash, const char *function, size_t from = 0) {
    for (size_t i = from; i < crash.frame_count; ++i) {
        if (contains(crash.frames[i]->function, function)) {
            return *crash.frames[i];
        }
    }
    cr_crash_write(&crash, 2);
    check_failed(__FILE__, __LINE__, "no frame of %s", function);
}

void is_at(const cr_crash &crash, size_t frame, const char *function, const char *mark) {
    if (frame >= crash.frame_count || !contains(crash.frames[frame]->function, function) ||
        !contains(crash.frames[frame]->file, SOURCE) || crash.frames[frame]->line != line_of(mark)) {
        cr_crash_write(&crash, 2);
        check_failed(__FILE__, __LINE__, "frame %u is not %s at line %u", unsigned(frame), function, line_of(mark));
    }
}

void ends_in_cr_main(const cr_crash &crash) { is_at(crash, crash.frame_count - 1, "cr_main", "cr_main"); }

std::string text_of(const cr_crash *crash) {
    int ends[2];
    CHECK_EQ(0, pipe(ends));
    CHECK(cr_crash_write(crash, ends[1]));
    close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t count; (count = read(ends[0], buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<size_t>(count));
    }
    close(ends[0]);
    return text;
}

void names_functions_and_lines(const char *guest) {
    Crashing p(guest);
    const cr_crash &crash = p.crash(CRASH_READ);
    CHECK_EQ(CODE_OF_SIGSEGV, crash.code);
    CHECK_EQ(CR_SEGFAULT, crash.failure);
    CHECK_EQ(0, crash.address);
    CHECK_TEXT("CR_STEP", crash.operation);
    CHECK_EQ(1, crash.version);
    CHECK_EQ(thread_number(), crash.thread);
    CHECK_CONTAINS(NAME_OF_SIGSEGV " at address 0x0", crash.what);
    is_at(crash, 0, "square", "inlined");
    CHECK(crash.frames[0]->inlined);
    is_at(crash, 1, "shapes::Circle::area", "area");
    CHECK(!crash.frames[1]->inlined);
    CHECK(crash.frames[0]->address == crash.frames[1]->address);
    is_at(crash, 2, "fail", "fail");
    ends_in_cr_main(crash);
    CHECK_EQ(4, crash.frame_count);
    for (size_t i = 0; i < crash.frame_count; ++i) {
        CHECK_CONTAINS("libguest1.so", crash.frames[i]->module);
        CHECK(crash.frames[i]->offset > 0 && crash.frames[i]->offset < 0x10000);
        CHECK_EQ(0, crash.frames[i]->skipped);
    }
}

} // namespace

SCENARIO(crash_record_names_functions_and_lines) { names_functions_and_lines("crashing_o0"); }

SCENARIO(crash_record_names_functions_and_lines_of_optimised_code) { names_functions_and_lines("crashing_o2"); }

SCENARIO(crash_record_of_code_without_unwind_tables) {
    Crashing p("crashing_pointers");
    const cr_crash &crash = p.crash(CRASH_READ);
    is_at(crash, 0, "square", "inlined");
    is_at(crash, 1, "shapes::Circle::area", "area");
    ends_in_cr_main(crash); // a function without a frame of its own may hide its caller
}

SCENARIO(crash_record_tells_reading_writing_and_executing) {
    Crashing read("crashing_o0");
    int access = read.crash(CRASH_READ).access;
    if (access == CR_ACCESS_UNKNOWN) {
        skip("the system does not tell what was tried");
    }
    CHECK_EQ(CR_ACCESS_READ, access);
    Crashing write("crashing_o0");
    const cr_crash &crash = write.crash(CRASH_WRITE);
    CHECK_EQ(CR_ACCESS_WRITE, crash.access);
    CHECK_EQ(16, crash.address);
    is_at(crash, 0, "fail", "write");
    Crashing execute("crashing_o0");
    CHECK_EQ(CR_ACCESS_EXECUTE, execute.crash(CRASH_JUMP).access);
    Crashing none("crashing_o0");
    CHECK_EQ(CR_ACCESS_UNKNOWN, none.crash(CRASH_ABORT).access);
}

SCENARIO(crash_record_of_a_stripped_guest) {
    Crashing p("crashing_stripped");
    const cr_crash &crash = p.crash(CRASH_READ);
    CHECK(crash.frame_count >= 2);
    for (size_t i = 0; i < crash.frame_count; ++i) {
        CHECK_CONTAINS("libguest1.so", crash.frames[i]->module);
        CHECK(crash.frames[i]->offset > 0 && crash.frames[i]->file == nullptr && crash.frames[i]->line == 0);
    }
    frame_of(crash, "cr_main"); // it is exported
    CHECK_CONTAINS("in ?? (libguest1.so+0x", text_of(&crash).c_str());
}

SCENARIO(crash_record_of_a_jump_to_nowhere) {
    for (const char *guest : {"crashing_o0", "crashing_o2"}) {
        for (crash_kind kind : {CRASH_JUMP, CRASH_JUMP_FAR}) {
            Crashing p(guest);
            const cr_crash &crash = p.crash(kind);
            size_t address = kind == CRASH_JUMP ? 0 : 0x1234568;
            CHECK_EQ(address, crash.address);
            CHECK_EQ(address, crash.frames[0]->address);
            CHECK(crash.frames[0]->module == nullptr && crash.frames[0]->function == nullptr);
            is_at(crash, 1, "jump", "jump");
            ends_in_cr_main(crash);
        }
    }
}

SCENARIO(crash_record_of_a_stack_overflow_has_both_ends) {
    auto overflow = [] {
        for (const char *guest : {"crashing_o0", "crashing_o2"}) {
            Crashing p(guest);
            const cr_crash &crash = p.crash(CRASH_OVERFLOW);
            CHECK_EQ(CR_STACKOVERFLOW, crash.failure);
            CHECK_CONTAINS("stack overflow", crash.what);
            is_at(crash, 1, "recurse", "recurse");
            CHECK(crash.frame_count > 20 && crash.frame_count < 200);
            size_t skipped = 0, gaps = 0;
            for (size_t i = 0; i < crash.frame_count; ++i) {
                skipped += crash.frames[i]->skipped;
                gaps += crash.frames[i]->skipped > 0;
            }
            CHECK_EQ(1, gaps);
            CHECK(skipped > 100000);
            CHECK_CONTAINS("bytes of stack ...\n", text_of(&crash).c_str());
            ends_in_cr_main(crash);
        }
    };
    overflow();
    std::thread(overflow).join();
}

SCENARIO(crash_record_leads_through_other_libraries) {
    Crashing p("crashing_o2");
    const cr_crash &crash = p.crash(CRASH_ABORT);
    CHECK_EQ(SIGABRT, crash.code);
    // On 32-bit x86 system calls are made by code of the kernel's.
    CHECK(contains(crash.frames[0]->module, C_LIBRARY) || contains(crash.frames[0]->module, "linux-gate"));
    const cr_crash_frame &guest = frame_of(crash, "fail");
    CHECK_EQ(line_of("abort"), guest.line);
    ends_in_cr_main(crash);
#ifndef _WIN32 // there raise() is no fault
    Crashing raise("crashing_o2");
    const cr_crash &raised = raise.crash(CRASH_RAISE);
    CHECK_EQ(SIGFPE, raised.code);
    frame_of(raised, "fail");
    ends_in_cr_main(raised);
#endif
}

SCENARIO(crash_record_leads_through_the_host) {
    struct Inner {
        static __attribute__((noinline)) void crash_in_the_host() { *reinterpret_cast<volatile int *>(8) = 1; }
    };
    Crashing p("crashing_o2");
    cr_guest_func call_back = reinterpret_cast<cr_guest_func>(cr_plugin_symbol(p.ctx, "call_back"));
    CHECK(!cr_plugin_call(p.ctx, call_back, reinterpret_cast<void *>(Inner::crash_in_the_host)));
    const cr_crash *crash = cr_plugin_crash(p.ctx);
    CHECK(crash);
    CHECK_TEXT("a guarded call", crash->operation);
    CHECK_EQ(8, crash->address);
    CHECK_EQ(2, crash->frame_count);
    CHECK_CONTAINS("crash_in_the_host", crash->frames[0]->function);
    CHECK_CONTAINS("host", crash->frames[0]->module);
    is_at(*crash, 1, "call_back", "call_back");
}

SCENARIO(crash_record_is_valid_through_rollback_and_reload) {
    Crashing p("crashing_o2");
    install("crashing_o0", path_of("libguest.so"));
    CHECK_EQ(0, cr_plugin_update(p.ctx));
    p.orders = {CR_STEP, CRASH_READ, nullptr};
    CHECK_EQ(-1, cr_plugin_update(p.ctx));
    p.orders.operation = -1;
    CHECK_EQ(0, cr_plugin_update(p.ctx));
    CHECK_EQ(1, p.ctx.version);
    install("crashing_o2", path_of("libguest.so"));
    for (int i = 0; i < 12; ++i) { // more than there are copies kept
        touch(path_of("libguest.so"));
        CHECK_EQ(0, cr_plugin_update(p.ctx));
    }
    const cr_crash *crash = cr_plugin_crash(p.ctx); // the first time it is asked for
    CHECK(crash && crash == cr_plugin_crash(p.ctx));
    CHECK_EQ(2, crash->version);
    CHECK_CONTAINS("libguest2.so", crash->frames[0]->module);
    is_at(*crash, 1, "shapes::Circle::area", "area");
    ends_in_cr_main(*crash);
    // The next crash replaces it.
    p.orders = {CR_UNLOAD, CRASH_WRITE, nullptr};
    touch(path_of("libguest.so"));
    CHECK_EQ(-2, cr_plugin_update(p.ctx));
    crash = cr_plugin_crash(p.ctx);
    CHECK_TEXT("CR_UNLOAD", crash->operation);
    CHECK_EQ(14, crash->version);
    p.orders.operation = -1;
    cr_plugin_close(p.ctx);
    CHECK(cr_plugin_crash(p.ctx) == nullptr);
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(crash_record_can_be_asked_for_in_the_event) {
    Controlled p("general_a");
    p.run();
    static std::string operation;
    p.during = [](Controlled &self, const cr_event &event) {
        if (event.kind == CR_EVENT_CRASH) {
            const cr_crash *crash = cr_plugin_crash(self.ctx);
            CHECK(crash && crash->version == event.version && crash->failure == event.failure);
            operation += std::string(crash->operation) + ";";
        }
    };
    p.on(CR_STEP, ACT_ILLEGAL);
    CHECK_EQ(-1, p.update());
    CHECK_TEXT("CR_STEP;", operation.c_str());
    p.close();
}

SCENARIO(crash_record_of_constructors_and_destructors) {
    Controlled p("lifetime_a");
    char address[32];
    std::snprintf(address, sizeof address, "%llx", (unsigned long long)(size_t)&p.orders);
    setenv(SCRIPT_ENVIRONMENT, address, 1);
    p.run();
    p.install("lifetime_b");
    p.orders.constructor.action = ACT_NULL_WRITE;
    CHECK_EQ(-2, p.update());
    const cr_crash *crash = cr_plugin_crash(p.ctx);
    CHECK(crash);
    CHECK_TEXT("a constructor", crash->operation);
    CHECK_EQ(2, crash->version);
    CHECK_CONTAINS("lifetime.cpp", frame_of(*crash, "Lifetime").file);
    p.orders.constructor.action = ACT_RETURN;
    CHECK_EQ(0, p.update());
    p.orders.destructor.action = ACT_NULL_WRITE;
    p.touch();
    CHECK_EQ(-2, p.update());
    crash = cr_plugin_crash(p.ctx);
    CHECK_TEXT("a destructor", crash->operation);
    CHECK_EQ(1, crash->version);
    CHECK_CONTAINS("lifetime.cpp", frame_of(*crash, "~Lifetime").file);
    p.orders.destructor.action = ACT_RETURN;
    p.close();
}

SCENARIO(crash_record_of_nested_calls_is_that_of_the_last) {
    static Crashing *plugin;
    struct Inner {
        static void crash() {
            cr_guest_func crash_now = reinterpret_cast<cr_guest_func>(cr_plugin_symbol(plugin->ctx, "crash_now"));
            CHECK(!cr_plugin_call(plugin->ctx, crash_now, reinterpret_cast<void *>(CRASH_WRITE)));
            const cr_crash *crash = cr_plugin_crash(plugin->ctx);
            CHECK(crash);
            is_at(*crash, 0, "fail", "write");
            is_at(*crash, crash->frame_count - 1, "crash_now", "crash_now"); // the outer call is none of it
            *reinterpret_cast<volatile int *>(32) = 1;
        }
    };
    Crashing p("crashing_o0");
    plugin = &p;
    cr_guest_func call_back = reinterpret_cast<cr_guest_func>(cr_plugin_symbol(p.ctx, "call_back"));
    CHECK(!cr_plugin_call(p.ctx, call_back, reinterpret_cast<void *>(Inner::crash)));
    const cr_crash *crash = cr_plugin_crash(p.ctx);
    CHECK_EQ(32, crash->address);
    is_at(*crash, crash->frame_count - 1, "call_back", "call_back");
}

SCENARIO(crash_record_as_text) {
    Crashing p("crashing_o0");
    std::string text = text_of(&p.crash(CRASH_WRITE));
    std::string first = text.substr(0, text.find('\n'));
    CHECK_CONTAINS(NAME_OF_SIGSEGV " at address 0x10", first.c_str());
    CHECK_CONTAINS(" in CR_STEP of version 1, thread ", first.c_str());
    CHECK_CONTAINS("\n#0 ", text.c_str());
    CHECK_CONTAINS((std::string(SOURCE) + ":" + std::to_string(line_of("write")) + " (libguest1.so+0x").c_str(),
                   text.c_str());
    CHECK(!cr_crash_write(nullptr, 1));
    CHECK(!cr_crash_write(cr_plugin_crash(p.ctx), -1));
    CHECK(cr_plugin_crash(static_cast<cr_plugin *>(nullptr)) == nullptr);
}

SCENARIO(crash_record_there_is_none_without_the_guard) {
    cr_options options = CR_OPTIONS_INIT;
    options.flags = CR_NO_GUARD;
    Crashing p("crashing_o0", options);
    CHECK(cr_plugin_crash(p.ctx) == nullptr);
}
