/*
 * Compiled twice for one program, as FIRST and as SECOND: two hosts with macros of their own. C and C++.
 */
#include <stdio.h>
#include <stdlib.h>

void second(void);

#if defined(FIRST)
#define CR_HOST CR_SAFEST
#define CR_MAIN_FUNC "first_main"
#define CR_LOG(...) (printf("first log: "), printf(__VA_ARGS__))
#define CR_ERROR(...) (printf("first error: "), printf(__VA_ARGS__))
#define CR_TRACE printf("first trace: %s\n", __func__);
#define CR_MALLOC(size) (printf("first malloc %d\n", (int)(size)), malloc(size))
#define CR_REALLOC(ptr, size) (printf("first realloc %d\n", (int)(size)), realloc(ptr, size))
#define CR_FREE(ptr) (printf("first free\n"), free(ptr))
#else
#define CR_HOST CR_DISABLE
#define CR_MAIN_FUNC "second_main"
#define CR_LOG(...) (printf("second log: "), printf(__VA_ARGS__))
#define CR_FREE(ptr) (printf("second free\n"), free(ptr))
#endif
#include "cr.h"

#ifdef __cplusplus
#define REF(ctx) ctx
#else
#define REF(ctx) &ctx
#endif

#if defined(FIRST)

int main(void) {
    struct cr_plugin ctx;
    cr_plugin_open(REF(ctx), "first");
    printf("%d\n", cr_plugin_update(REF(ctx), true));
    printf("%d\n", cr_plugin_changed(REF(ctx)));
    cr_plugin_reload(REF(ctx));
    printf("%d\n", cr_plugin_rollback(REF(ctx)));
    printf("%d\n", cr_plugin_unload(REF(ctx), true, false));
    printf("%s\n", cr_plugin_error(REF(ctx)));
    cr_set_temporary_path(REF(ctx), "/tmp");
    cr_plugin_close(REF(ctx));
    second();
    return 0;
}

#else

void second(void) {
    struct cr_plugin ctx;
    cr_plugin_load(REF(ctx), "second");
#ifdef __cplusplus
    cr_plugin_update(ctx); /* true is the default */
#endif
    cr_plugin_update(REF(ctx), false);
}

#endif
