#define CR_HOST
#include "cr.h"

int step(cr_plugin &ctx) { return cr_plugin_update(ctx); }
