// CONTRACT §1: CR_DEBUG writes messages to standard output and errors to standard error.
#define CR_DEBUG
#include "fixture.h"

#include <fcntl.h>

SCENARIO(s1_macros_debug_prints) {
    const char *out = path_of("out.txt");
    int file = open(out, O_CREAT | O_RDWR, 0644);
    CHECK(file >= 0);
    CHECK(dup2(file, STDOUT_FILENO) >= 0);
    Plugin p("general_a");
    p.run();
    p.close();
    std::fflush(stdout);
    size_t size = 0;
    std::string text(read_file(out, &size), static_cast<std::size_t>(file_size(out)));
    CHECK_CONTAINS("libguest", text.c_str());
    CHECK_CONTAINS("CR_TRACE: cr_plugin_open", text.c_str());
}
