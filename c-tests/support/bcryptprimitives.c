/* The one function of bcryptprimitives.dll that Rust's standard library calls. Wine 8, with which the tests for Windows
 * run, has no such library; Windows has one, and users get nothing of this. */
#include <windows.h>

/* RtlGenRandom of advapi32.dll. */
BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG size);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T size);

BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T size) {
    while (size > 0) {
        ULONG part = size > 0x10000000 ? 0x10000000 : (ULONG)size;
        if (!SystemFunction036(bytes, part)) {
            return FALSE;
        }
        bytes += part;
        size -= part;
    }
    return TRUE;
}
