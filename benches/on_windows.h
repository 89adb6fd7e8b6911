// What the benchmarks' host needs of POSIX, for Windows.
#include <windows.h>

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RTLD_NOW 0
#define AT_FDCWD 0

namespace {

inline void *dlopen(const char *path, int) { return LoadLibraryA(path); }

inline void *dlsym(void *library, const char *name) {
    return reinterpret_cast<void *>(GetProcAddress(static_cast<HMODULE>(library), name));
}

inline int symlink(const char *path, const char *other) { return CopyFileA(path, other, FALSE) ? 0 : -1; }

inline int utimensat(int, const char *path, const timespec *times, int) {
    long long ticks = (times[1].tv_sec + 11644473600LL) * 10000000; // counted from 1601
    FILETIME modified = {DWORD(ticks), DWORD(ticks >> 32)};
    HANDLE file = CreateFileA(path, FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr, OPEN_EXISTING,
                              0, nullptr);
    bool done = SetFileTime(file, nullptr, nullptr, &modified);
    CloseHandle(file);
    return done ? 0 : -1;
}

} // namespace
