// As much of the C++ library as cr.h and the hosts in this directory use, as declarations: enough to compile by the
// rules of Microsoft's compiler where its library is not to be had. <algorithm>, <string> and the others include it.
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

namespace std {

using ::free;
using ::malloc;
using ::realloc;
using ::size_t;
using ::strcmp;
using ::strcpy;
using ::strlen;

template <class Char> struct char_traits;
template <class Char> class allocator;
template <class Char, class Traits = char_traits<Char>> class basic_ostream;

template <class Char, class Traits = char_traits<Char>, class Allocator = allocator<Char>> class basic_string {
  public:
    static const size_t npos = size_t(-1);
    basic_string();
    basic_string(const Char *text);
    basic_string(size_t count, Char unit);
    basic_string(const basic_string &other);
    ~basic_string();
    basic_string &operator=(const basic_string &other);
    basic_string &operator=(const Char *text);
    basic_string &operator+=(Char unit);
    Char &operator[](size_t index);
    Char *begin();
    Char *end();
    const Char &back() const;
    const Char *c_str() const;
    const Char *data() const;
    bool empty() const;
    size_t size() const;
    void resize(size_t count);
    size_t rfind(Char unit) const;
    size_t find_last_of(const Char *units) const;
    basic_string substr(size_t begin, size_t count = npos) const;
};
typedef basic_string<char> string;
typedef basic_string<wchar_t> wstring;
string operator+(const string &a, const string &b);
string operator+(const string &a, const char *b);
string operator+(const char *a, const string &b);
string operator+(const string &a, char b);
string operator+(char a, const string &b);
bool operator==(const string &a, const string &b);
bool operator==(const string &a, const char *b);
bool operator==(const char *a, const string &b);
string to_string(unsigned number);

template <class Iterator, class T> void replace(Iterator begin, Iterator end, const T &before, const T &after);
template <class T> const T &max(const T &a, const T &b);

namespace chrono {
struct milliseconds {
    explicit milliseconds(long long count);
};
} // namespace chrono
namespace this_thread {
void sleep_for(const chrono::milliseconds &time);
}

} // namespace std
