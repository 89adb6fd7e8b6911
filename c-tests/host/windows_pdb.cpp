// Guests with a PDB: the copy of each version's, the name in the image, and state that is known by it.
#ifdef _WIN32
#include "fixture.h"

#include "../guest/exceptions.h"

#include <windows.h>

namespace {

// How many bytes of two files differ outside of the entry point's address and of the place of a path.
size_t differences(const char *one, const char *other, const std::string &path) {
    size_t size = 0, other_size = 0;
    char *bytes = read_file(one, &size), *others = read_file(other, &other_size);
    CHECK_EQ(size, other_size);
    size_t place = std::string(bytes, size).find(path);
    CHECK(place != std::string::npos);
    auto *headers = reinterpret_cast<IMAGE_NT_HEADERS *>(bytes + reinterpret_cast<IMAGE_DOS_HEADER *>(bytes)->e_lfanew);
    size_t entry = size_t(reinterpret_cast<char *>(&headers->OptionalHeader.AddressOfEntryPoint) - bytes);
    size_t count = 0;
    for (size_t i = 0; i < size; ++i) {
        bool may_differ = (i >= entry && i < entry + 4) || (i >= place && i <= place + path.size());
        count += bytes[i] != others[i] && !may_differ;
    }
    CHECK(std::memcmp(bytes + entry, others + entry, 4) != 0);
    return count;
}

bool contains(const char *file, const std::string &text) {
    size_t size = 0;
    std::string bytes(read_file(file, &size), static_cast<size_t>(file_size(file)));
    return bytes.find(text) != std::string::npos;
}

// The path of the PDB as the linker has written it into the guest.
std::string path_of_pdb(const char *guest) {
    size_t size = 0;
    const char *path = guest_path(guest);
    std::string bytes(read_file(path, &size), static_cast<size_t>(file_size(path)));
    size_t record = bytes.find("RSDS");
    CHECK(record != std::string::npos);
    return bytes.c_str() + record + 24;
}

} // namespace

SCENARIO(windows_each_version_has_a_pdb_of_its_own) {
    Plugin p("pdb_a");
    std::string pdb = path_of_pdb("pdb_a");
    CHECK(file_exists(pdb.c_str()));
    p.run();
    CHECK_TEXT("libguest.so libguest1.pdb libguest1.so", list("."));
    CHECK(same_file(pdb.c_str(), "libguest1.pdb"));
    CHECK(contains("libguest1.so", std::string("libguest1.pdb\0", 14)));
    CHECK_EQ(0, differences("libguest.so", "libguest1.so", pdb));
    p.run_next("pdb_b");
    CHECK_TEXT("libguest.so libguest1.pdb libguest1.so libguest2.pdb libguest2.so", list("."));
    CHECK(same_file(path_of_pdb("pdb_b").c_str(), "libguest2.pdb"));
    p.on(CR_STEP, ACT_NULL_WRITE);
    CHECK_EQ(-1, p.update());
    p.on(CR_STEP, ACT_RETURN);
    p.trace();
    CHECK_EQ(0, p.update());
    CHECK_TRACE("a.load@1!1 a.step@1", p);
    p.close();
    CHECK_TEXT("libguest.so", list("."));
    CHECK(file_exists(pdb.c_str()));
}

SCENARIO(windows_pdb_beside_the_guest_is_found_and_may_be_missing) {
    // As when the build's directory has gone: the path leads nowhere, and the PDB is beside the guest, or not.
    std::string pdb = path_of_pdb("pdb_a");
    size_t size = 0;
    char *bytes = read_file(guest_path("pdb_a"), &size);
    size_t place = std::string(bytes, size).find(pdb);
    bytes[place + 1] = '#';
    Plugin p("pdb_b");
    p.run();
    install_bytes(bytes, size, p.path.c_str());
    CHECK_EQ(0, p.update());
    CHECK_TEXT("libguest.so libguest1.pdb libguest1.so libguest2.so", list("."));
    CHECK(contains("libguest2.so", pdb.substr(2))); // it still names the linker's
    std::string name = pdb.substr(pdb.find_last_of("/\\") + 1);
    size_t pdb_size = 0;
    char *pdb_bytes = read_file(pdb.c_str(), &pdb_size);
    write_file(name.c_str(), pdb_bytes, pdb_size);
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_EQ(3, p.ctx.version);
    CHECK(same_file(name.c_str(), "libguest3.pdb"));
    // A debugger that holds the version's PDB leaves the linker's alone.
    HANDLE debugger = CreateFileA("libguest3.pdb", GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr);
    CHECK(debugger != INVALID_HANDLE_VALUE);
    write_file(name.c_str(), pdb_bytes, pdb_size);
    CloseHandle(debugger);
    p.close();
    CHECK_TEXT(("libguest.so " + name).c_str(), list("."));
}

SCENARIO(windows_pdb_that_is_held_too_long_is_done_without) {
    // Beside the guest, since other scenarios use the linker's, too.
    std::string pdb = path_of_pdb("pdb_a");
    std::string name = pdb.substr(pdb.find_last_of("/\\") + 1);
    size_t size = 0, pdb_size = 0;
    char *bytes = read_file(guest_path("pdb_a"), &size);
    char *pdb_bytes = read_file(pdb.c_str(), &pdb_size);
    bytes[std::string(bytes, size).find(pdb) + 1] = '#';
    write_file(name.c_str(), pdb_bytes, pdb_size);
    HANDLE linker = CreateFileA(name.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
    CHECK(linker != INVALID_HANDLE_VALUE);
    Plugin p("general_a");
    install_bytes(bytes, size, p.path.c_str());
    CHECK_EQ(0, p.update());
    CHECK_TEXT(("libguest.so libguest1.so " + name).c_str(), list("."));
    CHECK(contains("libguest1.so", pdb.substr(2))); // it still names the linker's
    CloseHandle(linker);
    p.touch();
    CHECK_EQ(0, p.update());
    CHECK_EQ(2, p.ctx.version);
    CHECK(same_file(name.c_str(), "libguest2.pdb"));
    p.close();
}

SCENARIO(windows_guest_of_microsofts_abi_with_a_pdb) {
    windows_task task = {};
    cr_plugin ctx;
    ctx.userdata = &task;
    ::install("microsoft_a", path_of("game.dll"));
    CHECK(cr_plugin_open(ctx, CR_PLUGIN("game")));
    CHECK_EQ(1101, cr_plugin_update(ctx));
    CHECK_TEXT("game.dll game1.dll game1.pdb", list("."));
    CHECK_EQ(0, differences("game.dll", "game1.dll", path_of_pdb("microsoft_a")));
    ::install("microsoft_b", path_of("game.dll"));
    CHECK_EQ(2102, cr_plugin_update(ctx));
    task.what = WINDOWS_RAISE;
    CHECK_EQ(-1, cr_plugin_update(ctx));
    CHECK_EQ(CR_SEGFAULT, ctx.failure);
    const cr_crash *crash = cr_plugin_crash(ctx);
    CHECK(crash != nullptr && crash->frame_count > 0);
    const cr_crash_frame &frame = *crash->frames[0];
    CHECK_TEXT("cr_main", frame.function);
    CHECK_TEXT("microsoft.c", frame.file + std::string(frame.file).find_last_of("/\\") + 1);
    CHECK_EQ(12, frame.line); // of the guest's source
    task.what = WINDOWS_NOTHING;
    CHECK_EQ(1102, cr_plugin_update(ctx));
    CHECK_EQ(1, ctx.version);
    cr_plugin_close(ctx);
    CHECK_TEXT("game.dll", list("."));
}

SCENARIO(windows_struct_that_has_grown_is_known_by_the_pdb) {
    int crash = 0;
    cr_plugin ctx;
    ctx.userdata = &crash;
    ::install("grown_a", path_of("game.dll"));
    CHECK(cr_plugin_open(ctx, CR_PLUGIN("game")));
    CHECK_EQ(40006, cr_plugin_update(ctx));
    ::install("grown_b", path_of("game.dll"));
    CHECK_EQ(50707, cr_plugin_update(ctx));
    const cr_state_report *report = cr_plugin_state_report(&ctx);
    size_t told = 0;
    for (size_t i = 0; i < report->count; ++i) {
        const cr_state_entry &entry = report->entries[i];
        told += entry.kind == CR_ENTRY_CONVERTED && std::strstr(entry.reason, "player.added: ") != nullptr;
    }
    CHECK_EQ(1, told);
    // Back to the version before, as it was left.
    crash = 1;
    CHECK_EQ(-1, cr_plugin_update(ctx));
    crash = 0;
    CHECK_EQ(50007, cr_plugin_update(ctx));
    CHECK_EQ(1, ctx.version);
    cr_plugin_close(ctx);
    CHECK_TEXT("game.dll", list("."));
}

#endif
