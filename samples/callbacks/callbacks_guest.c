/* The application: what happens when a button is pressed and a key is struck. The toolkit calls it through the host's
 * callbacks, not through cr_main. */
#include <stdio.h>

#include "cr.h"

static int CR_STATE presses = 0;

CR_EXPORT int on_button(int button, void *data);
CR_EXPORT void on_key(char key);

CR_EXPORT int on_button(int button, void *data) {
    presses += 1;
    printf("  guest: button %d, %s, press %d\n", button, (const char *)data, presses);
    return presses;
}

CR_EXPORT void on_key(char key) {
    printf("  guest: key %c\n", key);
    if (key == '!') {
        volatile int *volatile nowhere = NULL; /* a compiler must not see what is done with it */
        *nowhere = 1; /* a bug of the application */
    }
}

CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
    if (operation == CR_LOAD) {
        printf("  guest: version %u is loaded\n", ctx->version);
    }
    return 0;
}
