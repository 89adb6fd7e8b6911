/* As much of Microsoft's <windows.h> as cr.h uses. */
#pragma once

typedef int BOOL;
typedef unsigned int UINT;
typedef unsigned long DWORD;
typedef struct HINSTANCE__ *HMODULE;
typedef __int64 (__stdcall *FARPROC)();

#define CP_UTF8 65001
#define INVALID_FILE_ATTRIBUTES ((DWORD)-1)

/* <windows.h> has them, too, unless it is told not to. */
#ifndef NOMINMAX
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define min(a, b) (((a) < (b)) ? (a) : (b))
#endif

extern "C" {
__declspec(dllimport) DWORD __stdcall GetLastError(void);
__declspec(dllimport) FARPROC __stdcall GetProcAddress(HMODULE module, const char *name);
__declspec(dllimport) HMODULE __stdcall LoadLibraryA(const char *name);
__declspec(dllimport) HMODULE __stdcall LoadLibraryW(const wchar_t *name);
__declspec(dllimport) DWORD __stdcall GetFileAttributesA(const char *name);
__declspec(dllimport) DWORD __stdcall GetFileAttributesW(const wchar_t *name);
__declspec(dllimport) BOOL __stdcall DeleteFileA(const char *name);
__declspec(dllimport) BOOL __stdcall DeleteFileW(const wchar_t *name);
__declspec(dllimport) int __stdcall MultiByteToWideChar(UINT code_page, DWORD flags, const char *text, int size,
                                                        wchar_t *wide, int room);
}

#ifdef UNICODE
#define LoadLibrary LoadLibraryW
#define GetFileAttributes GetFileAttributesW
#define DeleteFile DeleteFileW
#else
#define LoadLibrary LoadLibraryA
#define GetFileAttributes GetFileAttributesA
#define DeleteFile DeleteFileA
#endif
