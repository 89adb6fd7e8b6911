// A guest whose image the dynamic loader does not unmap: STICKY is 1 for a thread_local object with a destructor, 2
// for a symbol that is unique in the process, 3 for a thread that goes on; without it, the linker has marked the image.
// On Windows only the thread keeps it.
#include "cr.h"

#include "actions.h"

#include <pthread.h>

#if STICKY == 1

struct Local {
    int value = 1;
    ~Local() { value = 0; }
};
static thread_local Local local;
static void stick() { local.value = 2; }

#elif STICKY == 2

template <class T> struct Unique { static int value; };
template <class T> int Unique<T>::value = 1;
static void stick() { Unique<int>::value += 1; }

#elif STICKY == 3

// The thread holds its own image, as one does that must not lose its code.
#ifdef _WIN32
static bool hold(void *here) {
    HMODULE image;
    return GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, static_cast<const char *>(here), &image);
}
#else
#include <dlfcn.h>
static bool hold(void *here) {
    Dl_info info;
    return dladdr(here, &info) && dlopen(info.dli_fname, RTLD_NOW);
}
#endif

static void *run(void *) {
    for (;;) {
        sleep(1);
    }
}
static void stick() {
    pthread_t thread;
    if (hold(reinterpret_cast<void *>(stick))) {
        pthread_create(&thread, nullptr, run, nullptr);
        pthread_detach(thread);
    }
}

#else

static void stick() {}

#endif

static int data_counter = 100;
static int CR_STATE state_counter = 100;

CR_EXPORT int cr_main(cr_plugin *ctx, cr_op operation) {
    script *s = static_cast<script *>(ctx->userdata);
    note(s, operation, ctx->version, ctx->failure);
    if (operation == CR_LOAD) {
        stick();
    }
    if (operation == CR_STEP) {
        s->data_counter = ++data_counter;
        s->state_counter = ++state_counter;
    }
    return obey(s, ctx, &s->on[operation]);
}
