/* Something that this file includes has included cr.h for its types; the file itself is a host. C and C++. */
#include "cr.h"

static struct cr_plugin plugin;

#define CR_HOST
#include "cr.h"
#include "cr.h"

int main(void) {
    struct cr_options options = CR_OPTIONS_INIT;
    (void)options;
#ifdef __cplusplus
    return cr_plugin_open(plugin, cr_version_string());
#else
    return cr_plugin_open(&plugin, cr_version_string());
#endif
}
