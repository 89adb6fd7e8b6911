// Where something begins or ends in a guest's file, in the format of the system.
#ifndef CR_TEST_IMAGES_H
#define CR_TEST_IMAGES_H

#include <algorithm>
#include <set>
#include <stddef.h>
#include <vector>

#ifdef _WIN32
#include <windows.h>
#else
#include <elf.h>
#include <link.h>
#endif

namespace {

// Lengths, with one less and one more of each.
struct Marks {
    size_t size;
    std::set<size_t> lengths;

    void add(size_t at) {
        for (size_t length : {at - 1, at, at + 1}) {
            if (length > 0 && length < size) {
                lengths.insert(length);
            }
        }
    }
};

#ifdef _WIN32

inline IMAGE_NT_HEADERS *headers_of(char *bytes) {
    return reinterpret_cast<IMAGE_NT_HEADERS *>(bytes + reinterpret_cast<IMAGE_DOS_HEADER *>(bytes)->e_lfanew);
}

inline void add_tables(Marks &marks, char *bytes) {
    auto *headers = headers_of(bytes);
    auto *sections = IMAGE_FIRST_SECTION(headers);
    size_t start = size_t(reinterpret_cast<char *>(headers) - bytes);
    size_t table = size_t(reinterpret_cast<char *>(sections) - bytes);
    size_t symbols = headers->FileHeader.PointerToSymbolTable;
    size_t names = symbols + headers->FileHeader.NumberOfSymbols * IMAGE_SIZEOF_SYMBOL;
    for (size_t at : {size_t(2), sizeof(IMAGE_DOS_HEADER), start, start + 4, start + 4 + IMAGE_SIZEOF_FILE_HEADER, table,
                      size_t(headers->OptionalHeader.SizeOfHeaders)}) {
        marks.add(at);
    }
    for (int i = 0; i < headers->FileHeader.NumberOfSections; ++i) {
        marks.add(table + size_t(i + 1) * sizeof *sections);
        marks.add(sections[i].PointerToRawData);
        marks.add(sections[i].PointerToRawData + sections[i].SizeOfRawData);
    }
    if (symbols) {
        marks.add(symbols);
        marks.add(names);
        marks.add(names + 4);
    }
}

// The bytes of the headers that say where code is, how much of it, and where the tables are: only the loader could
// tell whether they are right, and it trusts them.
inline std::vector<bool> trusted_header_bytes(char *bytes) {
    auto *headers = headers_of(bytes);
    auto *sections = IMAGE_FIRST_SECTION(headers);
    std::vector<bool> trusted(size_t(reinterpret_cast<char *>(sections + headers->FileHeader.NumberOfSections) - bytes));
    auto trust = [&](const void *from, size_t size) {
        size_t start = size_t(static_cast<const char *>(from) - bytes);
        std::fill(trusted.begin() + long(start), trusted.begin() + long(start + size), true);
    };
    trust(&headers->OptionalHeader.AddressOfEntryPoint, sizeof(DWORD));
    trust(headers->OptionalHeader.DataDirectory, sizeof headers->OptionalHeader.DataDirectory);
    trust(sections, headers->FileHeader.NumberOfSections * sizeof *sections);
    return trusted;
}

#else

inline void add_tables(Marks &marks, char *bytes) {
    auto *header = reinterpret_cast<const ElfW(Ehdr) *>(bytes);
    auto *segments = reinterpret_cast<const ElfW(Phdr) *>(bytes + header->e_phoff);
    auto *sections = reinterpret_cast<const ElfW(Shdr) *>(bytes + header->e_shoff);
    marks.add(EI_NIDENT);
    marks.add(sizeof *header);
    for (int i = 0; i < header->e_phnum; ++i) {
        marks.add(header->e_phoff + i * sizeof *segments);
        marks.add(segments[i].p_offset);
        marks.add(segments[i].p_offset + segments[i].p_filesz);
    }
    for (int i = 0; i < header->e_shnum; ++i) {
        marks.add(header->e_shoff + i * sizeof *sections);
        marks.add(sections[i].sh_offset);
        marks.add(sections[i].sh_offset + (sections[i].sh_type == SHT_NOBITS ? 0 : sections[i].sh_size));
    }
}

// The bytes of the headers that say where code is mapped and how much of it, and where the dynamic section is: only
// the loader could tell whether they are right, and it trusts them.
inline std::vector<bool> trusted_header_bytes(char *bytes) {
    auto *header = reinterpret_cast<const ElfW(Ehdr) *>(bytes);
    auto *segments = reinterpret_cast<const ElfW(Phdr) *>(bytes + header->e_phoff);
    std::vector<bool> trusted(header->e_phoff + header->e_phnum * sizeof *segments);
    for (size_t i = 0; i < header->e_phnum; ++i) {
        bool here = false;
        for (unsigned type : {PT_LOAD, PT_DYNAMIC, PT_GNU_RELRO, PT_TLS}) {
            here = here || segments[i].p_type == type;
        }
        size_t start = header->e_phoff + i * sizeof *segments;
        for (size_t at = start; at < start + sizeof *segments; ++at) {
            trusted[at] = here;
        }
    }
    return trusted;
}

#endif

// Lengths at which something ends or begins: pages, headers, table entries, sections, and a byte around each.
inline std::set<size_t> boundaries(char *bytes, size_t size) {
    Marks marks = {size, {}};
    for (size_t page = 0; page < size; page += 4096) {
        marks.add(page);
    }
    add_tables(marks, bytes);
    marks.add(size);
    return marks.lengths;
}

} // namespace

#endif
