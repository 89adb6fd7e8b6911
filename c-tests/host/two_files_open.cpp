// CONTRACT §3 row 16: one file of a program opens a plugin, another one uses it. See two_files_use.cpp.
#include <string>

static std::string log_of_this_file;

#define CR_HOST CR_SAFEST
#define CR_LOG(format, text) (log_of_this_file += text)
#include "cr.h"

#include "two_files.h"

bool open_in_another_file(cr_plugin &ctx, const char *path) { return cr_plugin_open(ctx, path); }
const char *log_of_another_file() { return log_of_this_file.c_str(); }
