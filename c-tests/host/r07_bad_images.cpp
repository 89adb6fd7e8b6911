// CONTRACT §3 row 7, and other files that are no guest for this host.
#ifndef __APPLE__ // made of the headers of ELF and PE
#include "fixture.h"
#include "images.h"

#include <algorithm>
#include <functional>

namespace {

#ifdef _WIN32
#define NAME_OF_NEEDED "msvcrt.dll"
#define MAGIC "MZ"
#else
#define NAME_OF_NEEDED "libm.so.6"
#define MAGIC ELFMAG
#endif

void goes_on(Plugin &p, const char *trace) {
    p.on(CR_STEP, ACT_RETURN, 5);
    CHECK_EQ(5, p.update());
    CHECK_TRACE(trace, p);
    CHECK_EQ(5, p.update());
    CHECK_EQ(5, p.update());
    CHECK_TRACE("a.step@1 a.step@1", p);
    p.on(CR_STEP, ACT_RETURN, 0);
}

void then_loads(Plugin &p, const char *guest, const char *trace) {
    p.install(guest);
    CHECK_EQ(0, p.update());
    CHECK_TRACE(trace, p);
    CHECK_EQ(CR_NONE, p.ctx.failure);
}

// Known before the running version is touched.
void is_refused(Plugin &p) {
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("", p);
    CHECK_CONTEXT(p, 1, CR_BAD_IMAGE, 2, 0);
    CHECK(*cr_plugin_error(p.ctx));
    goes_on(p, "a.step@1");
    CHECK_CONTEXT(p, 1, CR_NONE, 2, 0);
}

void guest_is_refused(const char *guest, const char *text) {
    Plugin p("general_a");
    p.run();
    p.install(guest);
    int maps = count_mapped("");
    CHECK_EQ(-2, p.update());
    CHECK_CONTAINS(text, cr_plugin_error(p.ctx));
    CHECK_EQ(maps, count_mapped(""));
    CHECK_TRACE("", p);
    goes_on(p, "a.step@1");
    then_loads(p, "general_b", "a.unload@1 b.load@2 b.step@2");
    p.close();
}

#ifdef _WIN32
typedef IMAGE_NT_HEADERS Header;
Header &header_of(char *bytes) { return *headers_of(bytes); }
#else
typedef ElfW(Ehdr) Header;
Header &header_of(char *bytes) { return *reinterpret_cast<Header *>(bytes); }
#endif

void patched_guest_is_refused(const std::function<void(Header &)> &patch) {
    size_t size = 0;
    char *bytes = read_file(guest_path("general_b"), &size);
    patch(header_of(bytes));
    Plugin p("general_a");
    p.run();
    install_bytes(bytes, size, p.path.c_str());
    is_refused(p);
    then_loads(p, "general_b", "a.unload@1 b.load@2 b.step@2");
    p.close();
}

} // namespace

SCENARIO(r07_no_entry_point) {
    Plugin p("general_a");
    p.run();
    p.install("other_entry_b");
    is_refused(p);
    CHECK_EQ(0, count_mapped("libguest2"));
    then_loads(p, "general_b", "a.unload@1 b.load@2 b.step@2");
    p.close();
}

SCENARIO(r07_no_entry_point_names_it) {
    Plugin p("general_a");
    p.run();
    p.install("other_entry_b");
    CHECK_EQ(-2, p.update());
    CHECK_CONTAINS("cr_main", cr_plugin_error(p.ctx));
    p.close();
}

SCENARIO(r07_entry_point_that_is_only_imported) {
    Plugin p("general_a");
    p.run();
    p.install("imported_entry_b");
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_BAD_IMAGE, p.ctx.failure);
    p.trace();
    goes_on(p, "a.step@1");
    p.close();
}

#ifdef _WIN32

SCENARIO(r07_wrong_architecture) {
    const WORD other = sizeof(void *) == 8 ? IMAGE_FILE_MACHINE_I386 : IMAGE_FILE_MACHINE_AMD64;
    for (WORD machine : {WORD(IMAGE_FILE_MACHINE_ARM64), other, WORD(IMAGE_FILE_MACHINE_UNKNOWN)}) {
        patched_guest_is_refused([machine](Header &header) { header.FileHeader.Machine = machine; });
    }
}

SCENARIO(r07_wrong_class) {
    const WORD other = sizeof(void *) == 8 ? IMAGE_NT_OPTIONAL_HDR32_MAGIC : IMAGE_NT_OPTIONAL_HDR64_MAGIC;
    patched_guest_is_refused([other](Header &header) { header.OptionalHeader.Magic = other; });
    patched_guest_is_refused([](Header &header) { header.OptionalHeader.Magic = 9; });
}

SCENARIO(r07_wrong_kind_of_elf) { // of image
    patched_guest_is_refused([](Header &header) { header.FileHeader.Characteristics &= ~IMAGE_FILE_DLL; });
    patched_guest_is_refused([](Header &header) { header.FileHeader.Characteristics &= ~IMAGE_FILE_EXECUTABLE_IMAGE; });
}

SCENARIO(r07_wrong_magic) {
    patched_guest_is_refused([](Header &header) { header.Signature ^= 1; });
}

SCENARIO(r07_no_segments) { // no sections
    patched_guest_is_refused([](Header &header) { header.FileHeader.NumberOfSections = 0; });
}

#else

SCENARIO(r07_wrong_architecture) {
    for (unsigned machine : {EM_AARCH64, EM_386, EM_X86_64}) {
        patched_guest_is_refused([machine](Header &header) {
            header.e_machine = static_cast<ElfW(Half)>(header.e_machine == machine ? EM_S390 : machine);
        });
    }
}

SCENARIO(r07_wrong_class) {
    patched_guest_is_refused([](Header &header) { header.e_ident[EI_CLASS] ^= ELFCLASS32 ^ ELFCLASS64; });
    patched_guest_is_refused([](Header &header) { header.e_ident[EI_CLASS] = 9; });
}

SCENARIO(r07_wrong_byte_order) {
    patched_guest_is_refused([](Header &header) { header.e_ident[EI_DATA] = ELFDATA2MSB; });
}

SCENARIO(r07_wrong_kind_of_elf) {
    patched_guest_is_refused([](Header &header) { header.e_type = ET_REL; });
    patched_guest_is_refused([](Header &header) { header.e_type = ET_CORE; });
    patched_guest_is_refused([](Header &header) { header.e_type = ET_EXEC; });
}

SCENARIO(r07_wrong_magic) {
    patched_guest_is_refused([](Header &header) { header.e_ident[0] = 'M'; });
}

SCENARIO(r07_no_segments) {
    patched_guest_is_refused([](Header &header) { header.e_phnum = 0; });
}

#endif

SCENARIO(r07_real_library_of_the_other_word_size) {
    bool wide = sizeof(void *) == 8;
#if defined(CR_WINDOWS)
    // The header of a PE image names the machine first.
    guest_is_refused(wide ? "bits32" : "bits64", wide ? "is for X86," : "is for X86_64,");
#else
    guest_is_refused(wide ? "bits32" : "bits64", wide ? "32-bit" : "64-bit");
#endif
}

SCENARIO(r07_unresolved_symbol_goes_back_to_the_old_version) {
    Plugin p("general_a");
    p.run(3);
    p.install("undefined_b");
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("a.unload@1", p);
    CHECK_EQ(CR_BAD_IMAGE, p.ctx.failure);
    CHECK_EQ(1, p.ctx.version);
    CHECK_CONTAINS("nowhere_to_be_found", cr_plugin_error(p.ctx));
    goes_on(p, "a.load@1!8 a.step@1");
    CHECK_EQ(106, p.orders.state_counter);
    CHECK_EQ(0, count_mapped("libguest2"));
    p.install("general_b");
    CHECK_EQ(0, p.update());
    CHECK_EQ(CR_NONE, p.ctx.failure);
    CHECK_EQ(107, p.orders.state_counter);
    p.close();
}

SCENARIO(r07_unresolved_symbol_in_the_first_version_waits_for_the_file_to_change) {
    Plugin p("undefined_b");
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_BAD_IMAGE, p.ctx.failure);
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
    CHECK_EQ(-2, p.update());
    CHECK_TRACE("", p);
    CHECK_EQ(0, p.ctx.version);
    p.install("general_a");
    CHECK_EQ(0, p.update());
    CHECK_EQ(CR_NONE, p.ctx.failure);
    CHECK_EQ(2, p.orders.count);
    p.close();
}

SCENARIO(r07_missing_needed_library) {
    size_t size = 0;
    char *bytes = read_file(guest_path("math_b"), &size);
    // It needs this one, and from now on another.
    const std::string name = NAME_OF_NEEDED;
    char *at = std::search(bytes, bytes + size, name.begin(), name.end());
    CHECK(at != bytes + size);
    at[3] = 'q';
    const std::string absent(at, name.size());
    Plugin p("general_a");
    p.run();
    install_bytes(bytes, size, p.path.c_str());
    CHECK_EQ(-2, p.update());
    CHECK_EQ(CR_BAD_IMAGE, p.ctx.failure);
    CHECK_CONTAINS(absent.c_str(), cr_plugin_error(p.ctx));
    p.trace();
    goes_on(p, "a.load@1!8 a.step@1");
    p.close();
}

SCENARIO(r07_bad_image_of_each_kind_as_the_first_version) {
    for (const char *guest : {"other_entry_b", "undefined_b", "imported_entry_b"}) {
        Plugin p(guest);
        CHECK_EQ(-2, p.update());
        CHECK_EQ(CR_BAD_IMAGE, p.ctx.failure);
        CHECK(*cr_plugin_error(p.ctx));
        CHECK_EQ(-2, p.update());
        CHECK_EQ(CR_INITIAL_FAILURE, p.ctx.failure);
        CHECK(*cr_plugin_error(p.ctx));
        p.close();
#ifndef _WIN32 // wine 8 keeps an image mapped that it could not load, and with it the file
        CHECK_TEXT("libguest.so", list("."));
#endif
    }
}

SCENARIO(r07_garbage_of_every_size) {
    Plugin p("general_a");
    p.run();
    std::string bytes(70000, 0);
    unsigned random = 1;
    for (char &byte : bytes) {
        random = random * 1103515245 + 12345;
        byte = static_cast<char>(random >> 16);
    }
    for (size_t length : {1u, 3u, 4u, 15u, 16u, 63u, 64u, 65u, 4095u, 4096u, 4097u, 70000u}) {
        install_bytes(bytes.data(), length, p.path.c_str());
        is_refused(p);
        std::string image = bytes.substr(0, length);
        image.replace(0, std::min(length, sizeof MAGIC - 1), std::string(MAGIC).substr(0, length));
        install_bytes(image.data(), length, p.path.c_str());
        is_refused(p);
        std::string zeros(length, 0);
        install_bytes(zeros.data(), length, p.path.c_str());
        is_refused(p);
    }
    p.close();
}

SCENARIO(r07_every_header_byte_turned_over) {
    // Some of these load and some do not; what counts is that the host lives, and that a version runs afterwards.
    size_t size = 0;
    char *bytes = read_file(guest_path("general_b"), &size);
    std::vector<bool> trusted = trusted_header_bytes(bytes);
    Plugin p("general_a");
    p.run();
    for (size_t at = 0; at < trusted.size(); ++at) {
        if (trusted[at]) {
            continue;
        }
        bytes[at] = static_cast<char>(~bytes[at]);
        install_bytes(bytes, size, p.path.c_str());
        bytes[at] = static_cast<char>(~bytes[at]);
        for (int i = 0; i < 3 && p.update() != 0; ++i) {
        }
        CHECK_EQ(CR_NONE, p.ctx.failure);
        CHECK(p.ctx.version >= 1);
        p.trace();
    }
    p.close();
}

#endif
