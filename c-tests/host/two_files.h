// What the two files of the test of that name share.
#ifndef CR_TEST_TWO_FILES_H
#define CR_TEST_TWO_FILES_H

struct cr_plugin;

bool open_in_another_file(cr_plugin &ctx, const char *path);
const char *log_of_another_file();

#endif
