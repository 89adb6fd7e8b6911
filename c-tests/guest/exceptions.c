/* A guest that has handlers of its own for exceptions. */
#include "cr.h"

#include "exceptions.h"

#include <stddef.h>

/* Of the system only what is needed, by hand: for 32-bit x86 it is compiled for Microsoft's ABI, since clang has no `__try`
 * for MinGW's there, and the headers at hand are MinGW's. */
struct exception_record {
    unsigned long code;
    unsigned long flags;
    struct exception_record *inner;
    void *address;
    unsigned long parameters;
    size_t information[15];
};

struct exception_pointers {
    struct exception_record *record;
    void *context;
};

typedef long(__stdcall *vectored_handler)(struct exception_pointers *exception);

__declspec(dllimport) void *__stdcall VirtualAlloc(void *address, size_t size, unsigned long type, unsigned long rights);
__declspec(dllimport) int __stdcall VirtualFree(void *address, size_t size, unsigned long type);
__declspec(dllimport) void *__stdcall AddVectoredExceptionHandler(unsigned long first, vectored_handler handler);
__declspec(dllimport) unsigned long __stdcall RemoveVectoredExceptionHandler(void *handler);
__declspec(dllimport) void __stdcall RaiseException(unsigned long code, unsigned long flags, unsigned long count,
                                                    const size_t *parameters);

enum { MEM_COMMIT = 0x1000, MEM_RESERVE = 0x2000, MEM_RELEASE = 0x8000, PAGE_NOACCESS = 1, PAGE_READWRITE = 4 };
#define ACCESS_VIOLATION 0xc0000005

static volatile int zero;
static int *reserved;

__declspec(noinline) static void write_to_null(void) { *(volatile int *)(size_t)zero = 1; }

/* Makes the page accessible that was only reserved. */
static long __stdcall commit(struct exception_pointers *exception) {
    if (exception->record->information[1] == (size_t)reserved) {
        VirtualAlloc(reserved, 4096, MEM_COMMIT, PAGE_READWRITE);
        return -1; /* go on where it was */
    }
    return 0;
}

static int write_with_a_vectored_handler(void) {
    void *handler = AddVectoredExceptionHandler(1, commit);
    int result;
    reserved = (int *)VirtualAlloc(NULL, 4096, MEM_RESERVE, PAGE_NOACCESS);
    *(volatile int *)reserved = 23;
    result = *reserved;
    VirtualFree(reserved, 0, MEM_RELEASE);
    RemoveVectoredExceptionHandler(handler);
    return result;
}

static int write_in_a_try_block(void) {
    __try {
        write_to_null();
        return 0;
    } __except ((unsigned long)_exception_code() == ACCESS_VIOLATION) {
        return 42;
    }
}

static void write_with_a_finally_block(struct windows_task *task) {
    __try {
        write_to_null();
    } __finally {
        task->finally_ran = 1;
    }
}

static void fault_in_a_finally_block(void) {
    __try {
        write_to_null();
    } __finally {
        write_to_null();
    }
}

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation);

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    struct windows_task *task = (struct windows_task *)ctx->userdata;
    if (operation != CR_STEP) {
        return 0;
    }
    switch (task->what) {
    case WINDOWS_RAISE:
        RaiseException(task->code, 0, 0, NULL);
        break;
    case WINDOWS_VECTORED:
        return write_with_a_vectored_handler();
    case WINDOWS_TRY:
        return write_in_a_try_block();
    case WINDOWS_FINALLY:
        write_with_a_finally_block(task);
        break;
    case WINDOWS_FAULT_IN_FINALLY:
        fault_in_a_finally_block();
        break;
    default:
        break;
    }
    return 5;
}
