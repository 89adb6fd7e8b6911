// The internals that hosts have come to use. It prints what fails and returns the number of failures.
#define CR_HOST
#include "cr.h"
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#if __cplusplus >= 201703L
#include <filesystem>
#endif

static int failures = 0;
#define CHECK(condition)                                                                                               \
    if (!(condition)) {                                                                                                \
        std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                    \
        ++failures;                                                                                                    \
    }

static std::string by_value(std::string s) { return s; }
static const std::string &by_reference(const std::string &s) { return s; }

static void strings(cr_plugin &ctx) {
    auto p = (cr_internal *)ctx.p;
    const std::string name = "/games/pong/libgame.so";

    const auto file = p->fullname; // a copy
    CHECK(file == name && name == file && file == file && file == name.c_str() && name.c_str() == file);
    CHECK(!(file != name) && !(name != file) && !(file != file) && !(file != name.c_str()) && !(name.c_str() != file));
    CHECK(file != "x" && "x" != file && file != p->temppath);
    CHECK(file.c_str() != p->fullname.c_str()); // its own memory
    CHECK(std::strcmp(p->fullname.c_str(), name.c_str()) == 0 && p->fullname.data() == p->fullname.c_str());
    CHECK(p->fullname.size() == name.size() && p->fullname.length() == name.size() && !p->fullname.empty());
    CHECK(p->fullname[1] == 'g');

    std::string s = p->fullname;
    CHECK(s == name);
    s = p->temppath;
    CHECK(s == "/tmp/copies/");
    s += p->fullname;
    CHECK(s == "/tmp/copies/" + name);
    const std::string t(p->fullname);
    CHECK(t == name);
    const std::string braces{p->fullname};
    CHECK(braces == name);
    CHECK(by_value(p->fullname) == name && by_reference(p->fullname).size() == name.size());
    CHECK((p->temppath.empty() ? name : p->temppath) == "/tmp/copies/");

    CHECK(p->fullname + ".x" == name + ".x" && ".x" + p->fullname == ".x" + name);
    CHECK(p->fullname + t == name + name && t + p->fullname == name + name);
    CHECK(p->fullname + 'x' == name + 'x' && 'x' + p->fullname == 'x' + name);
    CHECK(p->temppath + p->fullname == "/tmp/copies/" + name);

    std::ostringstream out;
    out << p->fullname << ' ' << p->temppath;
    CHECK(out.str() == name + " /tmp/copies/");
    std::map<std::string, int> versions;
    versions[p->fullname] = 1;
    CHECK(versions.count(p->fullname) == 1);

    const cr_internal copy = *p;
    CHECK(copy.fullname == name && copy.handle == nullptr);
#if __cplusplus >= 201703L && !defined(CR_WINDOWS)
    const std::filesystem::path path(p->fullname);
    CHECK(path.filename() == "libgame.so");
#endif
    so_handle handle = (so_handle)p->handle;
    CHECK(handle == nullptr);
}

static void paths(cr_plugin &ctx) {
    auto p = (cr_internal *)ctx.p;
    CHECK(cr_version_path(p->fullname, 3, p->temppath) == "/tmp/copies/libgame3.so");
    CHECK(cr_version_path("/a/b/libx.so", 12, "") == "/a/b/libx12.so");
    CHECK(cr_version_path("libx.so", 1, "") == "libx1.so");
    CHECK(cr_version_path("libx.so", 1, "/t") == "/t/libx1.so");
    CHECK(cr_version_path("/a/b", 1, "") == "/a/b1");
    CHECK(cr_version_path("/a.b/c", 1, "") == "/a.b/c1");
    CHECK(cr_version_path("b", 0, "/t/") == "/t/b0");
    CHECK(cr_version_path("/x.so", 1, "") == "/x1.so");
    CHECK(cr_version_path("./x.tar.so", 1, "") == "./x.tar1.so");
    CHECK(cr_version_path("/a/.hidden", 1, "") == "/a/1.hidden");
    CHECK(cr_version_path("", 1, "") == "1");
    CHECK(cr_replace_extension("/a.b/x.so", ".pdb") == "/a.b/x.pdb");
    CHECK(cr_replace_extension("/a.b/x", ".pdb") == "/a.b/x.pdb");
}

static void files(const std::string &directory) {
    const std::string name = directory + "/a file";
    CHECK(!cr_exists(name));
    cr_del(name); // nothing to delete: nothing happens
    std::ofstream(name.c_str()) << "x";
    CHECK(cr_exists(name));
    cr_del(name);
    CHECK(!cr_exists(name));
}

static void symbols(const char *guest) {
    cr_plat_init();
    CHECK(cr_so_load("/no/such/file.so") == nullptr);
    so_handle handle = cr_so_load(guest);
    CHECK(handle != nullptr);
    if (handle) {
        cr_plugin_main_func entry = cr_so_symbol(handle);
        CHECK(entry && entry(nullptr, CR_STEP) == 1);
    }
}

int main(int argc, char **argv) {
    cr_plugin ctx;
    CHECK(argc == 3);
    CHECK(cr_plugin_open(ctx, "game"));
    strings(ctx);
    paths(ctx);
    files(argv[1]);
    symbols(argv[2]);
    return failures;
}
