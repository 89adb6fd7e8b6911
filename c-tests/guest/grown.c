/* A guest for Microsoft's ABI with a struct in its state, which has got one more field in the middle with -DGROWN. Its
 * only symbols and types are those in its PDB. As microsoft.c it needs no header and no library. */

struct context {
    void *p;
    void *userdata;
    unsigned version;
    unsigned failure;
    unsigned next_version;
    unsigned last_working_version;
};

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

int DllMain(void *image, unsigned reason, void *reserved);
__declspec(dllexport) int cr_main(struct context *ctx, int operation);

int DllMain(void *image, unsigned reason, void *reserved) {
    (void)image;
    (void)reason;
    (void)reserved;
    return 1;
}

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
