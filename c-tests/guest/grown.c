/* A guest for Microsoft's ABI with a struct in its state, which has got one more field in the middle with -DGROWN. Its
 * only symbols and types are those in its PDB. */
#include "microsoft.h"

struct player {
    int lives;
#ifdef GROWN
    int added;
#endif
    int level;
};

#ifdef GROWN
static struct player __attribute__((section(".state"), used)) player = {1, 7, 1};
#else
static struct player __attribute__((section(".state"), used)) player = {3, 5};
#endif

/* A step changes what it has, and returns it: lives, added, level. */
int cr_main(struct context *ctx, int operation) {
    int added = 0;
    if (operation != 1) {
        return 0;
    }
    if (*(int *)ctx->userdata) {
        *(volatile int *)0 = 1;
    }
#ifdef GROWN
    added = player.added;
#endif
    return ++player.lives * 10000 + added * 100 + ++player.level;
}
