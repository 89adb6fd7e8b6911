/* See system.h. Paths are those of the system's code page; tests of other paths are in windows.cpp. */
#ifdef _WIN32
#include <windows.h> /* before psapi.h and tlhelp32.h, which do not include it */

#include "check.h"
#include "files.h"
#include "system.h"

#include <psapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tlhelp32.h>

/* Names the handle of the memory that a scenario shares with the process that judges it. */
#define REACHED "CR_TEST_REACHED"

void about_to_die(void) {
    const char *text = getenv(REACHED);
    HANDLE memory = text ? (HANDLE)(size_t)strtoull(text, NULL, 10) : NULL;
    volatile int *reached = (volatile int *)MapViewOfFile(memory, FILE_MAP_WRITE, 0, 0, sizeof(int));
    CHECK(reached != NULL);
    *reached = 1;
}

/* Is this the end of a process that has died of what POSIX has this signal for? */
static int is_death(DWORD status, int signal) {
    switch (signal) {
    case SIGSEGV:
        /* Wine 8 ends a process whose stack has run out with 0. A scenario that goes on to its end leaves with FAILED. */
        return status == (DWORD)STATUS_ACCESS_VIOLATION || status == (DWORD)STATUS_STACK_OVERFLOW || status == 0;
    case SIGILL:
        return status == (DWORD)STATUS_ILLEGAL_INSTRUCTION;
    case SIGFPE:
        return status == (DWORD)STATUS_INTEGER_DIVIDE_BY_ZERO;
    case SIGTRAP:
        return status == (DWORD)STATUS_BREAKPOINT;
    case SIGABRT:
        return status == 3; /* what `abort` leaves */
    default:
        return 0;
    }
}

static int judge(const struct scenario *scenario, DWORD status, int reached) {
    if (status == SKIPPED) {
        return SKIPPED;
    }
    if (scenario->dies_of) {
        if (!reached) {
            fprintf(stderr, "%s: ended early with %#lx\n", scenario->name, status);
            return FAILED;
        }
        if (!is_death(status, scenario->dies_of)) {
            fprintf(stderr, "%s: ended with %#lx, expected what stands for signal %d\n", scenario->name, status,
                    scenario->dies_of);
            return FAILED;
        }
        return PASSED;
    }
    if (status != 0) {
        fprintf(stderr, "%s: ended with %#lx\n", scenario->name, status);
        return FAILED;
    }
    return PASSED;
}

/* Starts this program again, in this directory and in a job that ends with this process, and waits for its end. */
static DWORD status_of_another(const char *arguments, const char *directory) {
    char program[MAX_PATH], line[2 * MAX_PATH];
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    STARTUPINFOA start;
    PROCESS_INFORMATION process;
    HANDLE job = CreateJobObjectA(NULL, NULL);
    DWORD status = 0;
    memset(&limits, 0, sizeof limits);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    memset(&start, 0, sizeof start);
    start.cb = sizeof start;
    CHECK(GetModuleFileNameA(NULL, program, sizeof program) < sizeof program);
    snprintf(line, sizeof line, "\"%s\" %s", program, arguments);
    if (!CreateProcessA(program, line, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, directory, &start, &process)) {
        check_failed(__FILE__, __LINE__, "cannot start %s in %s: error %lu", line, directory, GetLastError());
    }
    AssignProcessToJobObject(job, process.hProcess);
    ResumeThread(process.hThread);
    WaitForSingleObject(process.hProcess, INFINITE);
    GetExitCodeProcess(process.hProcess, &status);
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    CloseHandle(job);
    return status;
}

static void remove_all(const char *directory) {
    char path[MAX_PATH];
    WIN32_FIND_DATAA found;
    HANDLE search;
    snprintf(path, sizeof path, "%s\\*", directory);
    search = FindFirstFileA(path, &found);
    while (search != INVALID_HANDLE_VALUE) {
        int here = strcmp(found.cFileName, ".") == 0 || strcmp(found.cFileName, "..") == 0;
        snprintf(path, sizeof path, "%s\\%s", directory, found.cFileName);
        if (!here && found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) {
            remove_all(path);
        } else if (!here) {
            DeleteFileA(path);
        }
        if (!FindNextFileA(search, &found)) {
            FindClose(search);
            break;
        }
    }
    RemoveDirectoryA(directory);
}

int run_apart(const struct scenario *scenario) {
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    HANDLE memory = CreateFileMappingA(INVALID_HANDLE_VALUE, &inherited, PAGE_READWRITE, 0, sizeof(int), NULL);
    const volatile int *reached = (const volatile int *)MapViewOfFile(memory, FILE_MAP_READ, 0, 0, sizeof(int));
    const char *base = getenv("TMPDIR");
    char text[MAX_PATH], directory[MAX_PATH];
    DWORD status;
    CHECK(reached != NULL);
    snprintf(text, sizeof text, "%llu", (unsigned long long)(size_t)memory);
    SetEnvironmentVariableA(REACHED, text);
    snprintf(text, sizeof text, "%s\\cr-test-%lu", base && *base ? base : getenv("TEMP"), GetCurrentProcessId());
    CHECK(GetFullPathNameA(text, sizeof directory, directory, NULL) < sizeof directory);
    if (!CreateDirectoryA(directory, NULL)) {
        check_failed(__FILE__, __LINE__, "cannot create %s: error %lu", directory, GetLastError());
    }
    /* No window that asks what to do; the process that is started inherits it. */
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    snprintf(text, sizeof text, "--here %s", scenario->name);
    status = status_of_another(text, directory);
    remove_all(directory);
    return judge(scenario, status, *reached);
}

int replace_file(const char *from, const char *to) {
    /* A file that another thread of the tests looks at just now is waited for. */
    int i;
    for (i = 0; i < 100; ++i) {
        if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING)) {
            return 0;
        }
        Sleep(10);
    }
    return -1;
}

int set_modified(const char *path, long long seconds, long nanoseconds) {
    long long time = (seconds + 11644473600LL) * 10000000 + nanoseconds / 100; /* counted from 1601 */
    FILETIME modified;
    int done;
    HANDLE file = CreateFileA(path, FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    modified.dwLowDateTime = (DWORD)time;
    modified.dwHighDateTime = (DWORD)(time >> 32);
    done = file != INVALID_HANDLE_VALUE && SetFileTime(file, NULL, NULL, &modified);
    CloseHandle(file);
    return done ? 0 : -1;
}

long number_of_dead_process(void) {
    char program[MAX_PATH], line[] = "host --list";
    STARTUPINFOA start;
    PROCESS_INFORMATION process;
    memset(&start, 0, sizeof start);
    start.cb = sizeof start;
    start.dwFlags = STARTF_USESTDHANDLES; /* none: the list is for nobody */
    CHECK(GetModuleFileNameA(NULL, program, sizeof program) < sizeof program);
    CHECK(CreateProcessA(program, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &process));
    WaitForSingleObject(process.hProcess, INFINITE);
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    return (long)process.dwProcessId;
}

pid_t getppid(void) {
    HANDLE list = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    PROCESSENTRY32 entry;
    DWORD parent = 0;
    BOOL more;
    entry.dwSize = sizeof entry;
    for (more = Process32First(list, &entry); more; more = Process32Next(list, &entry)) {
        if (entry.th32ProcessID == GetCurrentProcessId()) {
            parent = entry.th32ParentProcessID;
        }
    }
    CloseHandle(list);
    CHECK(parent != 0);
    return (pid_t)parent;
}

int link(const char *from, const char *to) { return CreateHardLinkA(to, from, NULL) ? 0 : -1; }

int count_threads(void) {
    HANDLE list = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry;
    int count = 0;
    BOOL more;
    entry.dwSize = sizeof entry;
    for (more = Thread32First(list, &entry); more; more = Thread32Next(list, &entry)) {
        count += entry.th32OwnerProcessID == GetCurrentProcessId();
    }
    CloseHandle(list);
    return count;
}

/* Whole libraries; or, for "", parts of the address space. */
int count_mapped(const char *text) {
    HMODULE modules[1024];
    char name[4 * MAX_PATH];
    DWORD size = 0, i;
    int count = 0;
    if (!*text) {
        MEMORY_BASIC_INFORMATION part;
        char *address = NULL;
        while (VirtualQuery(address, &part, sizeof part) == sizeof part) {
            count += part.State != MEM_FREE;
            address = (char *)part.BaseAddress + part.RegionSize;
        }
        return count;
    }
    CHECK(EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &size));
    for (i = 0; i < size / sizeof *modules; ++i) {
        name[0] = 0;
        GetModuleFileNameA(modules[i], name, sizeof name);
        count += strstr(name, text) != NULL;
    }
    return count;
}

int count_descriptors(void) {
    DWORD count = 0;
    CHECK(GetProcessHandleCount(GetCurrentProcess(), &count));
    return (int)count;
}

size_t memory_in_use(void) {
    HANDLE heaps[64];
    DWORD count = GetProcessHeaps(64, heaps), i;
    size_t sum = 0;
    CHECK(count > 0 && count <= 64);
    for (i = 0; i < count; ++i) {
        PROCESS_HEAP_ENTRY entry;
        entry.lpData = NULL;
        CHECK(HeapLock(heaps[i]));
        while (HeapWalk(heaps[i], &entry)) {
            sum += entry.wFlags & PROCESS_HEAP_ENTRY_BUSY ? entry.cbData : 0;
        }
        HeapUnlock(heaps[i]);
    }
    return sum;
}

void *dlopen(const char *path, int flags) {
    (void)flags;
    return (void *)LoadLibraryA(path);
}

void *dlsym(void *library, const char *name) {
    FARPROC function = GetProcAddress((HMODULE)library, name);
    void *address;
    memcpy(&address, &function, sizeof address);
    return address;
}

int dlclose(void *library) { return FreeLibrary((HMODULE)library) ? 0 : -1; }

const char *dlerror(void) {
    static char text[64];
    snprintf(text, sizeof text, "error %lu", GetLastError());
    return text;
}

#endif
