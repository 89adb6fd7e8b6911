/* A guest that has handlers of its own for exceptions. */
#include "cr.h"

#include "exceptions.h"

#include <windows.h>

static volatile int zero;
static int *reserved;

__declspec(noinline) static void write_to_null(void) { *(volatile int *)(size_t)zero = 1; }

/* Makes the page accessible that was only reserved. */
static LONG CALLBACK commit(EXCEPTION_POINTERS *exception) {
    if (exception->ExceptionRecord->ExceptionInformation[1] == (ULONG_PTR)reserved) {
        VirtualAlloc(reserved, 4096, MEM_COMMIT, PAGE_READWRITE);
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    return EXCEPTION_CONTINUE_SEARCH;
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
    } __except (GetExceptionCode() == (DWORD)STATUS_ACCESS_VIOLATION) {
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
