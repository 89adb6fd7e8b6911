/* A host whose guest is called by a toolkit: the toolkit keeps plain C functions, and they go on working while the
 * guest is reloaded, crashes in one of them, and is rolled back.
 *
 * Without an argument the events come from a list, so that the program shows everything and ends by itself; with the
 * path of a guest, that guest is used. */
#include <stdio.h>

#define CR_HOST
#include "cr.h"

#ifndef CR_DEPLOY_PATH
#define CR_DEPLOY_PATH "."
#endif

/* ---- The toolkit: it knows nothing of cr ---- */

static struct {
    int (*button)(int button, void *data);
    void *button_data;
    void (*key)(char key);
} toolkit;

static void toolkit_on_button(int (*function)(int, void *), void *data) {
    toolkit.button = function;
    toolkit.button_data = data;
}

static void toolkit_on_key(void (*function)(char)) { toolkit.key = function; }

static void toolkit_event(char event) {
    if (event >= '0' && event <= '9') {
        printf("toolkit: the button says %d\n", toolkit.button(event - '0', toolkit.button_data));
    } else {
        toolkit.key(event);
    }
}

/* ---- The host ---- */

CR_CALLBACK_2(int, on_button, -1, int, void *)
CR_CALLBACK_VOID_1(on_key, char)

int main(int argc, char *argv[]) {
    const char *guest = argc > 1 ? argv[1] : CR_DEPLOY_PATH "/" CR_PLUGIN("callbacks_guest");
    struct cr_plugin ctx;
    if (!cr_plugin_open(&ctx, guest)) {
        fprintf(stderr, "%s\n", cr_plugin_error(&ctx));
        return 1;
    }
    on_button_bind(&ctx);
    on_key_bind(&ctx);
    toolkit_on_button(on_button, "saved");
    toolkit_on_key(on_key);

    /* A reload (r, as if the guest had been built again), a crash (!), and an event before it is dealt with. */
    for (const char *event = "1a2r3!45b"; *event; ++event) {
        if (*event != '4') {
            cr_plugin_update(&ctx, true);
        }
        if (*event == 'r') {
            cr_plugin_request_reload(&ctx);
            continue;
        }
        toolkit_event(*event);
        if (ctx.failure != CR_NONE) {
            printf("host: %s\n", cr_plugin_error(&ctx));
        }
    }
    cr_plugin_close(&ctx);
    printf("toolkit: after the end the button says %d\n", toolkit.button(6, toolkit.button_data));
    on_button_bind(NULL);
    on_key_bind(NULL);
    return 0;
}
