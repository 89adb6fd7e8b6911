// What Windows has in the place of signals, and other things of its own.
#ifdef _WIN32
#include "crash.h"
#include "fixture.h"

#include "../guest/exceptions.h"

#include <windows.h>

namespace {

struct Exceptions {
    cr_plugin ctx;
    windows_task task = {};

    Exceptions() {
        ::install("exceptions", path_of("guest.dll"));
        ctx.userdata = &task;
        CHECK(cr_plugin_open(ctx, CR_PLUGIN("guest")));
        CHECK_EQ(5, update(WINDOWS_NOTHING));
        touch(path_of("guest.dll"));
        CHECK_EQ(5, update(WINDOWS_NOTHING));
        CHECK_EQ(2, ctx.version);
    }

    int update(windows_what what, unsigned long code = 0) {
        task.what = what;
        task.code = code;
        return cr_plugin_update(ctx);
    }

    // Crashes with this failure, and goes on with the version that it was.
    void crashes(int failure, windows_what what, unsigned long code = 0) {
        ctx.last_working_version = ctx.version;
        CHECK_EQ(-1, update(what, code));
        CHECK_EQ(failure, ctx.failure);
        CHECK_EQ(5, update(WINDOWS_NOTHING));
        CHECK_EQ(CR_NONE, ctx.failure);
    }
};

int handled;
unsigned long handled_code;

LONG CALLBACK go_on(EXCEPTION_POINTERS *exception) {
    ++handled;
    handled_code = exception->ExceptionRecord->ExceptionCode;
    return EXCEPTION_CONTINUE_EXECUTION;
}

LONG CALLBACK look(EXCEPTION_POINTERS *exception) {
    ++handled;
    handled_code = exception->ExceptionRecord->ExceptionCode;
    return EXCEPTION_CONTINUE_SEARCH;
}

LONG WINAPI leave_well(EXCEPTION_POINTERS *exception) {
    CHECK_EQ((DWORD)STATUS_ACCESS_VIOLATION, exception->ExceptionRecord->ExceptionCode);
    _exit(PASSED);
}

void on_abort(int signal) {
    CHECK_EQ(SIGABRT, signal);
    _exit(PASSED);
}

// Starts another scenario of this program, in this directory, and returns its process.
HANDLE start(const char *scenario) {
    char program[MAX_PATH];
    STARTUPINFOA how = {};
    how.cb = sizeof how;
    PROCESS_INFORMATION process;
    CHECK(GetModuleFileNameA(nullptr, program, sizeof program) < sizeof program);
    std::string line = std::string("host --here ") + scenario;
    CHECK(CreateProcessA(program, &line[0], nullptr, nullptr, TRUE, 0, nullptr, nullptr, &how, &process));
    CloseHandle(process.hThread);
    return process.hProcess;
}

DWORD status_of(HANDLE process) {
    DWORD status = 77;
    CHECK_EQ(WAIT_OBJECT_0, WaitForSingleObject(process, 60000));
    CHECK(GetExitCodeProcess(process, &status));
    return status;
}

// Is this started by another scenario?
bool is_second(const char *role) {
    const char *text = std::getenv("CR_TEST_ROLE");
    return text && std::strcmp(text, role) == 0;
}

void wait_for_file(const char *name) {
    for (int i = 0; i < 6000 && !file_exists(name); ++i) {
        Sleep(10);
    }
    CHECK(file_exists(name));
}

std::wstring wide(const std::string &text) {
    std::wstring result(text.size(), 0);
    int size = static_cast<int>(text.size());
    result.resize(static_cast<size_t>(MultiByteToWideChar(CP_UTF8, 0, text.data(), size, &result[0], size)));
    return result;
}

// Copies a guest to a path in UTF-8, of any length.
void install_wide(const char *guest, const std::string &path) {
    std::wstring target = L"\\\\?\\" + wide(path);
    CHECK(CopyFileW(wide(guest_path(guest)).c_str(), target.c_str(), FALSE));
    static int second;
    long long time = (11644473600LL + 1700000000 + ++second) * 10000000;
    FILETIME modified = {DWORD(time), DWORD(time >> 32)};
    HANDLE file = CreateFileW(target.c_str(), FILE_WRITE_ATTRIBUTES, 0, nullptr, OPEN_EXISTING, 0, nullptr);
    CHECK(SetFileTime(file, nullptr, nullptr, &modified));
    CloseHandle(file);
}

void lives_at(const std::string &path) {
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    install_wide("general_a", path);
    if (!cr_plugin_open(ctx, path.c_str())) {
        check_failed(__FILE__, __LINE__, "%s", cr_plugin_error(ctx));
    }
    CHECK_TEXT(path.c_str(), static_cast<cr_internal *>(ctx.p)->fullname.c_str());
    if (cr_plugin_update(ctx) != 0) {
        check_failed(__FILE__, __LINE__, "%s", cr_plugin_error(ctx));
    }
    install_wide("general_b", path);
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ(2, ctx.version);
    orders.on[CR_STEP].action = ACT_NULL_WRITE;
    CHECK_EQ(-1, cr_plugin_update(ctx));
    orders.on[CR_STEP].action = ACT_RETURN;
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ('a', orders.events[orders.count - 1].marker);
    CHECK_EQ(102, orders.state_counter);
    cr_plugin_close(ctx);
    WIN32_FIND_DATAW found;
    size_t name = path.rfind('\\') + 1;
    std::wstring folder = L"\\\\?\\" + wide(path.substr(0, name));
    HANDLE search = FindFirstFileW((folder + L"*").c_str(), &found);
    CHECK(search != INVALID_HANDLE_VALUE);
    do {
        std::wstring file = found.cFileName;
        CHECK(file == L"." || file == L".." || file == wide(path.substr(name))); // no copy is left
    } while (FindNextFileW(search, &found));
    FindClose(search);
    CHECK(DeleteFileW((L"\\\\?\\" + wide(path)).c_str()));
}

} // namespace

SCENARIO(windows_each_exception_has_its_failure) {
    Exceptions e;
    const struct {
        DWORD code;
        int failure;
    } exceptions[] = {
        {(DWORD)EXCEPTION_ACCESS_VIOLATION, CR_SEGFAULT},
        {(DWORD)EXCEPTION_GUARD_PAGE, CR_SEGFAULT},
        {(DWORD)EXCEPTION_ILLEGAL_INSTRUCTION, CR_ILLEGAL},
        {(DWORD)EXCEPTION_PRIV_INSTRUCTION, CR_ILLEGAL},
        {(DWORD)EXCEPTION_DATATYPE_MISALIGNMENT, CR_MISALIGN},
        {(DWORD)EXCEPTION_IN_PAGE_ERROR, CR_MISALIGN},
        {(DWORD)EXCEPTION_ARRAY_BOUNDS_EXCEEDED, CR_BOUNDS},
        {(DWORD)EXCEPTION_INT_DIVIDE_BY_ZERO, CR_OTHER + SIGFPE},
        {(DWORD)EXCEPTION_INT_OVERFLOW, CR_OTHER + SIGFPE},
        {(DWORD)EXCEPTION_FLT_DIVIDE_BY_ZERO, CR_OTHER + SIGFPE},
        {(DWORD)EXCEPTION_FLT_INVALID_OPERATION, CR_OTHER + SIGFPE},
        {(DWORD)EXCEPTION_BREAKPOINT, CR_OTHER + SIGTRAP},
        {(DWORD)EXCEPTION_SINGLE_STEP, CR_OTHER + SIGTRAP},
    };
    for (const auto &exception : exceptions) {
        e.crashes(exception.failure, WINDOWS_RAISE, exception.code);
    }
    cr_plugin_close(e.ctx);
    CHECK_TEXT("guest.dll", list("."));
}

SCENARIO(windows_array_bounds_are_named) {
    Exceptions e;
    CHECK_EQ(-1, e.update(WINDOWS_RAISE, (unsigned long)EXCEPTION_ARRAY_BOUNDS_EXCEEDED));
    CHECK_EQ(CR_BOUNDS, e.ctx.failure);
    CHECK_CONTAINS("EXCEPTION_ARRAY_BOUNDS_EXCEEDED", cr_plugin_error(e.ctx));
    CHECK_EQ(1, e.ctx.version);
    CHECK_EQ(5, e.update(WINDOWS_NOTHING));
    cr_plugin_close(e.ctx);
}

SCENARIO(windows_vectored_handler_of_the_guest_comes_first) {
    Exceptions e;
    CHECK_EQ(23, e.update(WINDOWS_VECTORED));
    CHECK_EQ(CR_NONE, e.ctx.failure);
    e.crashes(CR_SEGFAULT, WINDOWS_RAISE, (unsigned long)EXCEPTION_ACCESS_VIOLATION);
    CHECK_EQ(23, e.update(WINDOWS_VECTORED));
    cr_plugin_close(e.ctx);
}

SCENARIO(windows_try_of_the_guest_comes_first) {
    Exceptions e;
    CHECK_EQ(42, e.update(WINDOWS_TRY));
    CHECK_EQ(CR_NONE, e.ctx.failure);
    CHECK_EQ(2, e.ctx.version);
    cr_plugin_close(e.ctx);
}

SCENARIO(windows_finally_of_the_guest_runs_when_a_call_is_abandoned) {
    Exceptions e;
    for (int i = 0; i < 3; ++i) {
        e.task.finally_ran = 0;
        e.crashes(CR_SEGFAULT, WINDOWS_FINALLY);
        CHECK_EQ(1, e.task.finally_ran);
    }
    cr_plugin_close(e.ctx);
}

SCENARIO(windows_second_fault_in_a_finally_block_ends_the_call) {
    Exceptions e;
    for (int i = 0; i < 3; ++i) {
        e.crashes(CR_SEGFAULT, WINDOWS_FAULT_IN_FINALLY);
    }
    e.crashes(CR_BOUNDS, WINDOWS_RAISE, (unsigned long)EXCEPTION_ARRAY_BOUNDS_EXCEEDED);
    cr_plugin_close(e.ctx);
}

SCENARIO(windows_vectored_handler_of_the_host_sees_crashes_of_the_guest_first) {
    Exceptions e;
    void *handler = AddVectoredExceptionHandler(1, look);
    e.crashes(CR_SEGFAULT, WINDOWS_RAISE, (unsigned long)EXCEPTION_ACCESS_VIOLATION);
    CHECK_EQ(1, handled);
    CHECK_EQ((DWORD)STATUS_ACCESS_VIOLATION, handled_code);
    RemoveVectoredExceptionHandler(handler);
    cr_plugin_close(e.ctx);
}

SCENARIO(windows_other_exceptions_of_the_guest_are_no_crashes) {
    Exceptions e;
    void *handler = AddVectoredExceptionHandler(1, go_on);
    CHECK_EQ(5, e.update(WINDOWS_RAISE, 0xe0001234)); // a message of the program to itself
    CHECK_EQ(1, handled);
    CHECK_EQ(0xe0001234, handled_code);
    CHECK_EQ(CR_NONE, e.ctx.failure);
    RemoveVectoredExceptionHandler(handler);
    cr_plugin_close(e.ctx);
}

SCENARIO(windows_filter_of_the_host_gets_the_faults_of_the_host) {
    SetUnhandledExceptionFilter(leave_well);
    Exceptions e;
    e.crashes(CR_SEGFAULT, WINDOWS_RAISE, (unsigned long)EXCEPTION_ACCESS_VIOLATION);
    write_to_null();
    CHECK(!"the filter is called");
}

SCENARIO(windows_vectored_handler_of_the_host_gets_the_faults_of_the_host) {
    AddVectoredExceptionHandler(1, leave_well);
    Plugin p("general_a");
    p.run();
    write_to_null();
    CHECK(!"the handler is called");
}

SCENARIO(windows_handler_for_abort_of_the_host_is_kept) {
    CHECK(signal(SIGABRT, on_abort) == SIG_DFL);
    Plugin p("general_a");
    p.run();
    for (int i = 0; i < 3; ++i) {
        p.run_next("general_b");
        p.on(CR_STEP, ACT_RAISE, SIGABRT);
        CHECK_EQ(-1, p.update());
        CHECK_EQ(CR_ABORT, p.ctx.failure);
        p.on(CR_STEP, ACT_RETURN);
        p.run();
    }
    p.close();
    CHECK(signal(SIGABRT, on_abort) == on_abort); // back where it was
    Plugin other("general_a");
    other.run();
    std::abort(); // of the host, while a plugin is open
}

SCENARIO(windows_utf8_paths) {
    std::string folder = path_of("");
    lives_at(folder + "gu\xc3\xa9st \xe2\x82\xac \xf0\x9f\x8e\xae.dll");
    CHECK(CreateDirectoryW(wide(folder + "\xd0\xb8\xd0\xb3\xd1\x80\xd0\xb0").c_str(), nullptr));
    lives_at(folder + "\xd0\xb8\xd0\xb3\xd1\x80\xd0\xb0\\guest.dll");
    CHECK(RemoveDirectoryW(wide(folder + "\xd0\xb8\xd0\xb3\xd1\x80\xd0\xb0").c_str()));
}

SCENARIO(windows_long_paths) {
    std::string folder = path_of("");
    size_t begin = folder.size();
    for (int i = 0; i < 3; ++i) {
        folder += std::string(100, char('d' + i)) + "\\";
        CHECK(CreateDirectoryW((L"\\\\?\\" + wide(folder)).c_str(), nullptr));
    }
    CHECK(folder.size() > MAX_PATH);
    lives_at(folder + "guest.dll");
    while (folder.size() > begin) { // the runner does not know such paths
        CHECK(RemoveDirectoryW((L"\\\\?\\" + wide(folder)).c_str()));
        folder.erase(folder.rfind('\\', folder.size() - 2) + 1);
    }
}

// Puts a copy of a file into its place, which is another file with the same times and size.
void replace_by_its_like(const char *path) {
    const char *const other = path_of("other.dll");
    FILETIME created, accessed, modified;
    HANDLE file = CreateFileA(path, FILE_READ_ATTRIBUTES, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr);
    CHECK(GetFileTime(file, &created, &accessed, &modified));
    CloseHandle(file);
    CHECK(CopyFileA(path, other, TRUE));
    file = CreateFileA(other, FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr);
    CHECK(SetFileTime(file, &created, &accessed, &modified));
    CloseHandle(file);
    CHECK_EQ(0, replace_file(other, path));
}

// Times and size can be asked for without opening the file, as its index on the volume cannot.
SCENARIO(windows_file_with_the_same_times_and_size_is_noticed_within_64_updates) {
    Plugin p("general_a");
    p.run(40);
    CHECK_EQ(1, p.ctx.version);
    replace_by_its_like(p.path.c_str());
    for (int update = 0; p.ctx.version == 1; ++update) {
        CHECK(update <= 64);
        p.run();
    }
    CHECK_EQ(2, p.ctx.version);
    // From now on each update looks.
    for (unsigned version = 3; version < 6; ++version) {
        p.run(40);
        replace_by_its_like(p.path.c_str());
        p.run();
        CHECK_EQ(version, p.ctx.version);
    }
    p.close();
}

SCENARIO(windows_locked_file_is_not_ready) {
    Plugin p("general_a");
    p.run();
    p.install("general_b");
    HANDLE lock = CreateFileA(p.path.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
    CHECK(lock != INVALID_HANDLE_VALUE);
    for (int i = 0; i < 5; ++i) {
        CHECK_EQ(0, p.update()); // as if there were no new file yet
        CHECK_TRACE("a.step@1", p);
        CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    }
    CloseHandle(lock);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(windows_file_that_another_process_holds_is_not_ready) {
    if (is_second("holder")) {
        HANDLE lock = CreateFileA("libguest.so", GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
        CHECK(lock != INVALID_HANDLE_VALUE);
        write_file("held", "", 0);
        wait_for_file("go");
        CloseHandle(lock);
        return;
    }
    SetEnvironmentVariableA("CR_TEST_ROLE", "holder");
    Plugin p("general_a");
    auto hold = [] {
        HANDLE holder = start("windows_file_that_another_process_holds_is_not_ready");
        wait_for_file("held");
        return holder;
    };
    auto let_go = [](HANDLE holder) {
        write_file("go", "", 0);
        CHECK_EQ(0, status_of(holder));
        CHECK_EQ(0, std::remove("held"));
        CHECK_EQ(0, std::remove("go"));
    };
    // The first version: there is nothing else to run.
    HANDLE holder = hold();
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(-2, p.update());
        CHECK_CONTAINS("libguest.so", cr_plugin_error(p.ctx));
        CHECK_TRACE("", p);
    }
    let_go(holder);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1 a.step@1", p);
    // The next one, which the old one does not wait for.
    p.install("general_b");
    holder = hold();
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(0, p.update());
        CHECK_TRACE("a.step@1", p);
        CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
    }
    let_go(holder);
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.unload@1 b.load@2 b.step@2", p);
    p.close();
    CHECK_TEXT("libguest.so", list("."));
}

SCENARIO(windows_libraries_beside_the_original_are_found) {
    CHECK_EQ(0, mkdir("game", 0755));
    CHECK_EQ(0, mkdir("copies", 0755));
    ::install("nowhere", "game\\nowhere_to_be_found.dll");
    Plugin p("undefined_b", "game\\guest.dll");
    cr_set_temporary_path(p.ctx, path_of("copies"));
    if (p.update() != 0) {
        check_failed(__FILE__, __LINE__, "%s", cr_plugin_error(p.ctx));
    }
    CHECK_TRACE("b.load@1 b.step@1", p);
    CHECK_TEXT("guest1.dll", list("copies"));
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_EQ(2, p.ctx.version);
    p.close();
    CHECK_TEXT("", list("copies"));
}

SCENARIO(windows_two_processes) {
    if (is_second("two")) {
        cr_plugin ctx;
        script orders = {};
        ctx.userdata = &orders;
        CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
        CHECK_EQ(0, cr_plugin_update(ctx));
        write_file("ready", "", 0);
        wait_for_file("go");
        CHECK_EQ(0, cr_plugin_update(ctx));
        CHECK_EQ(2, ctx.version);
        cr_plugin_close(ctx);
        return;
    }
    install("general_a", path_of("libguest.so"));
    SetEnvironmentVariableA("CR_TEST_ROLE", "two");
    HANDLE second = start("windows_two_processes");
    wait_for_file("ready");
    cr_plugin ctx;
    script orders = {};
    ctx.userdata = &orders;
    CHECK(cr_plugin_open(ctx, path_of("libguest.so")));
    CHECK_EQ(0, cr_plugin_update(ctx));
    std::string mine = "libguest1." + std::to_string(GetCurrentProcessId()) + ".so";
    CHECK(file_exists("libguest1.so"));
    CHECK(file_exists(mine.c_str()));
    install("general_b", path_of("libguest.so"));
    CHECK_EQ(0, cr_plugin_update(ctx));
    write_file("go", "", 0);
    CHECK_EQ(0, status_of(second));
    CHECK(file_exists(mine.c_str()));
    CHECK(!file_exists("libguest1.so"));
    orders.on[CR_STEP].action = ACT_NULL_WRITE;
    CHECK_EQ(-1, cr_plugin_update(ctx));
    orders.on[CR_STEP].action = ACT_RETURN;
    CHECK_EQ(0, cr_plugin_update(ctx));
    CHECK_EQ('a', orders.events[orders.count - 1].marker);
    cr_plugin_close(ctx);
    CHECK_TEXT("go libguest.so ready", list("."));
}

SCENARIO(windows_copies_that_stay_mapped_are_swept_later) {
    if (is_second("sticky")) {
        Plugin p("sticky_thread_a");
        p.run();
        p.run_next("sticky_thread_b");
        p.close();
        std::string number = std::to_string(GetCurrentProcessId());
        std::string left = "libguest.so libguest1." + number + ".so libguest2." + number + ".so";
        CHECK_TEXT(left.c_str(), list("."));
        return;
    }
    SetEnvironmentVariableA("CR_TEST_ROLE", "sticky");
    CHECK_EQ(0, status_of(start("windows_copies_that_stay_mapped_are_swept_later")));
    Plugin p("general_a");
    p.run();
    CHECK_TEXT("libguest.so libguest1.so", list("."));
    p.close();
}

#endif
