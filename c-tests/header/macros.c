/*
 * The forms in which hosts write the macros: one of them for each compilation. C, and C++ with more of them.
 */
#include <stdio.h>
#include <stdlib.h>

#if defined(FUNCTIONS)

static int to_log(const char *format, ...) { return format[0]; }
static void traced(const char *function) { (void)function; }
static void *allocate(size_t size) { return malloc(size); }
static void *reallocate(void *ptr, size_t size) { return realloc(ptr, size); }
static void release(void *ptr) { free(ptr); }
static void check(int holds) { (void)holds; }
#define CR_LOG to_log
#define CR_ERROR to_log
#define CR_TRACE traced(__func__);
#define CR_MALLOC allocate
#define CR_REALLOC reallocate
#define CR_FREE release
#define CR_ASSERT check
#define CR_MAIN_FUNC "other_main"

#elif defined(STATEMENTS)

#define CR_LOG(...)                                                                                                    \
    do {                                                                                                               \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                                \
        fprintf(stderr, __VA_ARGS__);                                                                                  \
    } while (0)
#define CR_ERROR(...)                                                                                                  \
    {                                                                                                                  \
        int written = fprintf(stderr, __VA_ARGS__);                                                                    \
        if (written < 0)                                                                                               \
            abort();                                                                                                   \
    }
#define CR_TRACE                                                                                                       \
    static int calls;                                                                                                  \
    if (++calls == 1)                                                                                                  \
        puts(__func__);
#define CR_MALLOC(size) ((char *)malloc(size))
#define CR_REALLOC(ptr, size) ((char *)realloc(ptr, size))
#define CR_FREE(ptr)                                                                                                   \
    do {                                                                                                               \
        free(ptr);                                                                                                     \
    } while (0)
#define CR_ASSERT(e)                                                                                                   \
    if (!(e))                                                                                                          \
        abort();

#elif defined(FORMAT_GLUED)

#define CR_LOG(format, ...) printf("[cr] " format, __VA_ARGS__)
#define CR_ERROR(format, ...) (void)fprintf(stderr, "[cr] " format, __VA_ARGS__)

#elif defined(EMPTY)

#define CR_LOG(...)
#define CR_ERROR(...)
#define CR_TRACE
#define CR_ASSERT(e)

#elif defined(ONLY_FREE)

#define CR_FREE(ptr) free(ptr)

#elif defined(ONLY_TRACE)

#define CR_TRACE puts(__func__);

#elif defined(WITH_DEBUG)

#define CR_DEBUG

#elif defined(TEMPLATES)

#include <iostream>
#include <memory>
namespace app {
template <class... Arguments> void log(const char *format, const Arguments &...arguments) {
    const int unused[] = {0, (std::clog << format << arguments, 0)...};
    (void)unused;
}
struct scope {
    const char *name;
    explicit scope(const char *function) : name(function) { std::clog << "> " << name; }
    ~scope() { std::clog << "< " << name; }
};
struct logger {
    template <class... Arguments> logger &info(const char *, Arguments &&...) { return *this; }
    static std::shared_ptr<logger> get() { return std::make_shared<logger>(); }
};
} // namespace app
#define CR_LOG app::log
#define CR_ERROR(...) app::logger::get()->info(__VA_ARGS__)
#define CR_TRACE const app::scope scope_(__FUNCTION__);
#define CR_MALLOC(size) (new char[size])
#define CR_FREE(ptr) delete[] static_cast<char *>(ptr)

#elif defined(LAMBDAS)

static const auto log_lambda = [](const char *format, const char *text) { printf(format, text); };
static const auto free_lambda = [](void *ptr) { free(ptr); };
#define CR_LOG log_lambda
#define CR_ERROR(...) [](const char *format, const char *text) { printf(format, text); }(__VA_ARGS__)
#define CR_FREE free_lambda

#else
#error "which form?"
#endif

#define CR_HOST
#include "cr.h"

int main(void) {
    struct cr_plugin ctx;
#ifdef __cplusplus
    bool is_open = cr_plugin_open(ctx, "x");
#if defined(TEMPLATES) || defined(LAMBDAS)
    CR_LOG("%s\n", CR_MAIN_FUNC);
    CR_ERROR("%s\n", "used by the host itself");
#endif
#else
    bool is_open = cr_plugin_open(&ctx, "x");
#endif
    {
        CR_TRACE
        CR_ASSERT(is_open);
    }
#if !defined(TEMPLATES) && !defined(LAMBDAS)
    CR_LOG("%d, %s\n", 1, CR_MAIN_FUNC);
    CR_ERROR("%d, %s\n", 1, "used by the host itself");
#endif
    CR_FREE(CR_MALLOC(2));
    return is_open;
}
