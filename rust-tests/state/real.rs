//! Edits as they come in programs: state of games, tables, C++ of the standard library, and what else compilers know.

use crate::fixture::{Guest, Run, Toolchain, c, cpp, reload};

const TOOLCHAINS: [Toolchain; 4] = [
    Toolchain { compiler: "gcc", flags: &["-g", "-Og", "-fcommon", "-fdata-sections", "-Wl,--gc-sections"] },
    Toolchain { compiler: "gcc", flags: &["-g", "-O3", "-flto", "-fuse-ld=bfd"] },
    // Then the labels that a compiler makes up stay in the symbol table.
    Toolchain { compiler: "clang", flags: &["-g", "-O0", "-fstandalone-debug", "-fuse-ld=lld", "-Wl,--emit-relocs"] },
    Toolchain { compiler: "clang", flags: &["-gdwarf-4", "-O3", "-fstandalone-debug", "-fuse-ld=lld"] },
];

const CPP_17: [Toolchain; 4] = [
    Toolchain { compiler: "gcc", flags: &["-g", "-O0", "-std=c++17", "-fno-gnu-unique"] },
    Toolchain { compiler: "gcc", flags: &["-g", "-O2", "-std=c++17", "-fno-gnu-unique"] },
    Toolchain { compiler: "clang", flags: &["-g", "-O0", "-std=c++17", "-fuse-ld=lld"] },
    Toolchain { compiler: "clang", flags: &["-g", "-O2", "-std=c++17", "-fuse-ld=lld"] },
];

#[track_caller]
pub(crate) fn check(old: &Guest, new: &Guest, expected: &[i64]) {
    check_with(&TOOLCHAINS, old, new, expected);
}

#[track_caller]
pub(crate) fn check_with(toolchains: &[Toolchain], old: &Guest, new: &Guest, expected: &[i64]) {
    let mut bad = String::new();
    for toolchain in toolchains.iter().copied() {
        let (Some(before), Some(after)) = (old.build(toolchain), new.build(toolchain)) else { continue };
        let run: Run = reload(&before, &after);
        if run.io[..expected.len()] != *expected {
            bad += &format!("{toolchain:?}\n  is {:?}\n  {:?}\n", &run.io[..expected.len()], run.report());
        }
    }
    assert!(bad.is_empty(), "should be {expected:?}\n{bad}");
}

#[test]
fn the_state_of_a_game() {
    let old = c(
        "enum mode { MENU, PLAY, DEAD }; struct item { int id; char name[12]; float w; };
         struct inv { struct item items[3][2]; int n; };
         struct game { struct inv inv[2]; enum mode mode; struct { int x, y; } cam; }; static struct game CR_STATE g;",
        "KEEP(g); g.inv[1].items[2][1].id = 9; __builtin_strcpy(g.inv[1].items[2][1].name, \"sword\"); g.inv[1].items[2][1].w = 2.5f;
         g.inv[1].n = 4; g.inv[0].items[1][0].id = 3; g.mode = DEAD; g.cam.x = 7; g.cam.y = 8;",
    );
    let new = c(
        "enum mode { INTRO, MENU, PAUSE, PLAY, DEAD }; struct item { unsigned char rarity; double w; int id; char name[16]; };
         struct inv { int gold; int n; struct item items[4][3]; };
         struct game { struct { float x, y, z; } cam; enum mode mode; struct inv inv[3]; }; static struct game CR_STATE g;",
        "KEEP(g); io[0] = g.inv[1].items[2][1].id; io[1] = __builtin_strcmp(g.inv[1].items[2][1].name, \"sword\");
         io[2] = (long long)(g.inv[1].items[2][1].w * 10); io[3] = g.inv[1].n; io[4] = g.inv[0].items[1][0].id;
         io[5] = g.mode == DEAD; io[6] = (long long)(g.cam.x + g.cam.y);",
    );
    check(&old, &new, &[9, 0, 25, 4, 3, 1, 15]);
}

#[test]
fn tables_of_functions() {
    let old = c(
        "struct op { const char *name; int (*f)(int); }; static int inc(int a) { return a + 1; } static int dec(int a) { return a - 1; }
         static struct op CR_STATE ops[2]; static int (*CR_STATE cur[2][2])(int);",
        "KEEP(ops); KEEP(cur); ops[0].name = \"inc\"; ops[0].f = inc; ops[1].name = \"dec\"; ops[1].f = dec; cur[1][0] = dec;",
    );
    let new = c(
        "static int pad[500]; static __attribute__((noinline,used)) int dec(int a) { KEEP(pad); return a - 10; } static __attribute__((noinline,used)) int inc(int a) { return a + 10; }
         struct op { int calls; int (*f)(int); const char *name; };
         static struct op CR_STATE ops[3]; static int (*CR_STATE cur[2][2])(int);",
        "KEEP(ops); KEEP(cur); io[0] = ops[0].f(1); io[1] = ops[1].f(1); io[2] = ops[1].name[0]; io[3] = cur[1][0](5);
         const char *volatile a = \"dec\"; const char *volatile b = \"inc\"; KEEP(a); KEEP(b);",
    );
    check(&old, &new, &[11, -9, 100, -5]);
}

#[test]
fn views_of_text() {
    let old = cpp(
        "#include <string_view>\nstatic const char text[] = \"one two three\"; static std::string_view CR_STATE a, CR_STATE b;",
        "KEEP(a); KEEP(b); KEEP(text); a = std::string_view(text).substr(4, 3); b = std::string_view(\"a literal\").substr(2);",
    );
    let new = cpp(
        "#include <string_view>\nstatic char more[900]; static const char zero[] = \"zero\"; static const char text[] = \"one two three four\"; static std::string_view CR_STATE b, CR_STATE a;",
        "KEEP(a); KEEP(b); KEEP(text); KEEP(zero); KEEP(more); const char *volatile l = \"a literal\"; KEEP(l); io[0] = a == \"two\"; io[1] = b == \"literal\"; io[2] = a.data() == text + 4;",
    );
    check_with(&CPP_17, &old, &new, &[1, 1, 1]);
}

#[test]
fn pointers_into_arrays_that_grow() {
    let old = c(
        "static int arr[10]; static int *CR_STATE cur; static char buf[3][8]; static char *CR_STATE line;",
        "KEEP(arr); KEEP(cur); KEEP(buf); KEEP(line); arr[3] = 33; cur = &arr[3]; line = buf[2] + 1; buf[2][1] = 'x';",
    );
    let new = c(
        "static char more[300]; static char buf[4][16]; static char *CR_STATE line; static long long arr[20]; static long long *CR_STATE cur;",
        "KEEP(arr); KEEP(cur); KEEP(buf); KEEP(line); KEEP(more); io[0] = cur == &arr[3]; io[1] = arr[3]; io[2] = line == buf[2] + 1; io[3] = buf[2][1];",
    );
    check(&old, &new, &[1, 33, 1, 120]);
}

#[test]
fn unions_with_a_tag() {
    let old = c(
        "struct v { int tag; union { int i; float f; void *p; struct { short a, b; } s; } u; }; static struct v CR_STATE vs[3];",
        "KEEP(vs); vs[0].tag = 1; vs[0].u.i = 77; vs[1].tag = 2; vs[1].u.f = 1.5f; vs[2].tag = 3; vs[2].u.s.b = 6;",
    );
    let new = c(
        "struct v { union { double d; int i; float f; void *p; struct { short a, b; } s; } u; int tag; int more; }; static struct v CR_STATE vs[4];",
        "KEEP(vs); io[0] = vs[0].tag; io[1] = vs[0].u.i; io[2] = (long long)(vs[1].u.f * 2); io[3] = vs[2].u.s.b; io[4] = vs[2].tag;",
    );
    check(&old, &new, &[1, 77, 3, 6, 3]);
}

#[test]
fn enums_in_bit_fields_and_arrays() {
    let old = c(
        "enum k { A, B, C }; struct s { enum k k : 4; unsigned n : 3; enum k all[3]; }; static struct s CR_STATE s; static enum k CR_STATE lone;",
        "KEEP(s); KEEP(lone); s.k = C; s.n = 5; s.all[1] = B; s.all[2] = C; lone = B;",
    );
    let new = c(
        "enum k { C, NEW, B, A }; struct s { unsigned n : 9; enum k k : 6; enum k all[3]; }; static struct s CR_STATE s; static enum k CR_STATE lone;",
        "KEEP(s); KEEP(lone); io[0] = s.k == C; io[1] = s.n; io[2] = s.all[1] == B; io[3] = s.all[2] == C; io[4] = lone == B; io[5] = s.all[0] == A;",
    );
    check(&old, &new, &[1, 5, 1, 1, 1, 1]);
}

#[test]
fn packed_and_aligned_structs() {
    let old = c(
        "struct __attribute__((packed)) p { char a; int b; short c; }; static struct p CR_STATE p;",
        "KEEP(p); p.a = 1; p.b = 222222; p.c = -3;",
    );
    let new = c(
        "static int more[400]; struct __attribute__((aligned(64))) p { char a; char z; int b; short c; }; static struct p CR_STATE p;",
        "KEEP(p); KEEP(more); io[0] = p.a; io[1] = p.b; io[2] = p.c; io[3] = (long long)&p % 64;",
    );
    check(&old, &new, &[1, 222222, -3, 0]);
}

#[test]
fn arrays_without_a_length_at_the_end() {
    let old = c(
        "struct f { int n; int data[]; }; static struct f CR_STATE f = {3, {1, 2, 3}};",
        "KEEP(f); f.n = 2; f.data[0] = 10; f.data[2] = 30;",
    );
    let same = c(
        "struct f { int n; int data[]; }; static int CR_STATE other = 1; static struct f CR_STATE f = {3, {1, 2, 3, 4}};",
        "KEEP(f); KEEP(other); io[0] = f.n; io[1] = f.data[0]; io[2] = f.data[1]; io[3] = f.data[2]; io[4] = f.data[3];",
    );
    check(&old, &same, &[2, 10, 2, 30, 4]);
    let new = c(
        "struct f { int n; long long more; int data[]; }; static struct f CR_STATE f = {3, 9, {1, 2, 3}};",
        "KEEP(f); io[0] = f.n; io[1] = f.more; io[2] = f.data[0]; io[3] = f.data[2];",
    );
    check(&old, &new, &[2, 9, 10, 30]);
}

#[test]
fn atomics() {
    let old = c(
        "#include <stdatomic.h>\nstatic _Atomic int CR_STATE a; static atomic_flag CR_STATE f; struct p { int x, y; }; static _Atomic struct p CR_STATE p;",
        "KEEP(a); KEEP(f); KEEP(p); a = 5; atomic_flag_test_and_set(&f); struct p q = {3, 4}; __builtin_memcpy((void *)&p, &q, sizeof q);",
    );
    let new = c(
        "#include <stdatomic.h>\nstatic _Atomic long long CR_STATE a; static atomic_flag CR_STATE f; struct p { int y, x; }; static _Atomic struct p CR_STATE p;",
        "KEEP(a); KEEP(f); KEEP(p); io[0] = a; io[1] = atomic_flag_test_and_set(&f); struct p q; __builtin_memcpy(&q, (void *)&p, sizeof q); io[2] = q.x; io[3] = q.y;",
    );
    check(&old, &new, &[5, 1, 3, 4]);
}

#[test]
fn numbers_wider_than_a_register() {
    let old = c(
        "static long double CR_STATE a; static double CR_STATE b; static __int128 CR_STATE c; static unsigned __int128 CR_STATE d; static long CR_STATE e; static float CR_STATE f; static __int128 CR_STATE g;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(d); KEEP(e); KEEP(f); KEEP(g); a = 2.5L; b = 3.5; c = -77; d = 5; e = -9; f = 1.25f; g = (__int128)1 << 100;",
    );
    let new = c(
        "static double CR_STATE a; static long double CR_STATE b; static long long CR_STATE c; static unsigned CR_STATE d; static __int128 CR_STATE e; static long double CR_STATE f; static long long CR_STATE g = 3;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(d); KEEP(e); KEEP(f); KEEP(g); io[0] = (long long)(a * 2); io[1] = (long long)(b * 2); io[2] = c; io[3] = d; io[4] = (long long)e; io[5] = (long long)(f * 4); io[6] = g;",
    );
    check(&old, &new, &[5, 7, -77, 5, -9, 5, 3]);
}

#[test]
fn complex_numbers_and_vectors() {
    let old = c(
        "static _Complex double CR_STATE z; typedef float v4 __attribute__((vector_size(16))); struct b { v4 pos; int n; }; static struct b CR_STATE b; static v4 CR_STATE v;",
        "KEEP(z); KEEP(b); KEEP(v); z = 1.5 + 2.5i; b.pos[2] = 3; b.n = 4; v[1] = 2;",
    );
    let new = c(
        "static _Complex double CR_STATE z; typedef float v4 __attribute__((vector_size(16))); struct b { int n; int more; v4 pos; }; static struct b CR_STATE b; static v4 CR_STATE v; static int CR_STATE front = 3;",
        "KEEP(z); KEEP(b); KEEP(v); KEEP(front); io[0] = (long long)(2 * __real__ z); io[1] = (long long)(2 * __imag__ z); io[2] = (long long)b.pos[2]; io[3] = b.n; io[4] = (long long)v[1];",
    );
    check(&old, &new, &[3, 5, 3, 4, 2]);
    let wider = c(
        "static _Complex float CR_STATE z; typedef double v4 __attribute__((vector_size(32))); struct b { v4 pos; int n; }; static struct b CR_STATE b; static v4 CR_STATE v;",
        "KEEP(z); KEEP(b); KEEP(v); io[0] = (long long)(2 * __real__ z); io[1] = (long long)(2 * __imag__ z); io[2] = (long long)b.pos[2]; io[3] = b.n; io[4] = (long long)v[1];",
    );
    // Numbers of two parts have nothing that could be found by name.
    check(&old, &wider, &[0, 0, 3, 4, 2]);
}

#[test]
fn fields_of_unnamed_structs_are_those_of_the_struct_around() {
    let old = c(
        "struct s { int a; struct { int b, c; }; union { int d; float e; }; }; static struct s CR_STATE s;",
        "KEEP(s); s.a = 1; s.b = 2; s.c = 3; s.e = 1.5f;",
    );
    let new = c(
        "struct s { union { int d; float e; }; struct { int c; int more; int b; }; int a; }; static struct s CR_STATE s;",
        "KEEP(s); io[0] = s.a; io[1] = s.b; io[2] = s.c; io[3] = (long long)(s.e * 2);",
    );
    check(&old, &new, &[1, 2, 3, 3]);
    // What was around it goes.
    let flat = c(
        "struct s { int c, b, a; union { int d; float e; }; }; static struct s CR_STATE s;",
        "KEEP(s); io[0] = s.a; io[1] = s.b; io[2] = s.c; io[3] = (long long)(s.e * 2);",
    );
    check(&old, &flat, &[1, 2, 3, 3]);
}

#[test]
fn bases_that_change_places() {
    let old = cpp(
        "struct A { int a; }; struct B : A { int b; }; struct C { short c; }; struct D : B, C { int d; }; static D CR_STATE d;",
        "KEEP(d); d.a = 1; d.b = 2; d.c = 3; d.d = 4;",
    );
    let new = cpp(
        "struct A { int z; int a; }; struct B : A { int b; }; struct C { int c; }; struct E { int e; }; struct D : C, E, B { int d; }; static D CR_STATE d;",
        "KEEP(d); io[0] = d.a; io[1] = d.b; io[2] = d.c; io[3] = d.d;",
    );
    check(&old, &new, &[1, 2, 3, 4]);
}

#[test]
fn classes_with_virtual_functions_and_bases() {
    let old = cpp(
        "struct S { virtual int f() { return n; } int n = 0; }; struct T : S { int m = 0; int f() override { return n + m; } }; static T CR_STATE t;",
        "KEEP(t); t.n = 5; t.m = 6; S *s = &t; KEEP(s); io[9] = s->f();",
    );
    let new = cpp(
        "struct S { virtual int g() { return 1; } virtual int f() { return n; } int z = 0; int n = 0; }; struct T : S { int m = 0; int f() override { return n + m + 100; } }; static int more[300]; static T CR_STATE t;",
        "KEEP(t); KEEP(more); S *s = &t; KEEP(s); io[0] = t.n; io[1] = t.m; io[2] = s->f(); io[3] = s->g();",
    );
    check(&old, &new, &[5, 6, 111, 1]);
    let old = cpp(
        "struct V { int v = 1; virtual ~V() = default; }; struct L : virtual V { int l = 2; }; struct R : virtual V { int r = 3; }; struct X : L, R { int x = 4; }; static X CR_STATE x;",
        "KEEP(x); x.v = 10; x.l = 20; x.r = 30; x.x = 40;",
    );
    let new = cpp(
        "struct V { int v = 1; virtual ~V() = default; }; struct L : virtual V { int l = 2; }; struct R : virtual V { int r = 3; }; struct X : L, R { int x = 4; }; static int more[300]; static X CR_STATE x;",
        "KEEP(x); KEEP(more); L *l = &x; KEEP(l); io[0] = l->v; io[1] = x.l; io[2] = x.r; io[3] = x.x;",
    );
    check(&old, &new, &[10, 20, 30, 40]);
}

#[test]
fn values_of_the_standard_library() {
    let old = cpp(
        "#include <optional>\n#include <variant>\n#include <array>\n#include <utility>\n#include <tuple>\n#include <chrono>\n#include <atomic>\n
         struct all { std::optional<int> o; std::variant<int, float, std::array<int, 3>> v; std::array<int, 3> a; std::pair<int, short> p; std::tuple<int, char, double> t; std::chrono::milliseconds ms; std::atomic<int> at; };
         static all CR_STATE s;",
        "KEEP(s); s.o = 5; s.v = std::array<int, 3>{1, 2, 3}; s.a = {4, 5, 6}; s.p = {7, 8}; s.t = {9, 'c', 2.5}; s.ms = std::chrono::milliseconds(1234); s.at = 11;",
    );
    let new = cpp(
        "#include <optional>\n#include <variant>\n#include <array>\n#include <utility>\n#include <tuple>\n#include <chrono>\n#include <atomic>\n
         struct all { std::chrono::milliseconds ms; int more; std::optional<int> o; std::variant<int, float, std::array<int, 3>> v; std::array<int, 5> a; std::pair<int, short> p; std::tuple<int, char, double> t; std::atomic<int> at; };
         static all CR_STATE s;",
        "KEEP(s); io[0] = s.o.value_or(-1); auto *arr = std::get_if<2>(&s.v); io[1] = arr ? (*arr)[2] : -1; io[2] = s.a[2]; io[3] = s.p.second; io[4] = std::get<0>(s.t) + (int)(2 * std::get<2>(s.t)); io[5] = s.ms.count(); io[6] = s.at;",
    );
    check_with(&CPP_17, &old, &new, &[5, 3, 6, 8, 14, 1234, 11]);
}

#[test]
fn statics_of_templates_and_inline_functions() {
    let text = |more: &str| {
        format!(
            "{more} template <class T> static int &count(T) {{ static int n; KEEP(n); return n; }} inline int &shared() {{ static int n; KEEP(n); return n; }} struct M {{ static int &m() {{ static int n; KEEP(n); return n; }} }};"
        )
    };
    let old = cpp(&text(""), "count(1) = 5; count(1.0f) = 6; shared() = 7; M::m() = 8;");
    let new = cpp(
        &text("static int more[99];"),
        "KEEP(more); count('c'); io[0] = count(1); io[1] = count(1.0f); io[2] = count('c'); io[3] = shared(); io[4] = M::m();",
    );
    check(&old, &new, &[5, 6, 0, 7, 8]);
}

#[test]
fn inline_variables() {
    let old = cpp(
        "inline int one; inline int two; template <class T> inline T three; struct S { static inline int four; };",
        "KEEP(one); KEEP(two); KEEP(three<int>); KEEP(S::four); one = 1; two = 2; three<int> = 3; S::four = 4;",
    );
    let new = cpp(
        "inline int two; inline long long one; template <class T> inline T three; struct S { static inline int zero, four; };",
        "KEEP(one); KEEP(two); KEEP(three<int>); KEEP(S::four); KEEP(S::zero); io[0] = one; io[1] = two; io[2] = three<int>; io[3] = S::four;",
    );
    check_with(&CPP_17, &old, &new, &[1, 2, 3, 4]);
}

#[test]
fn pointers_into_constant_tables_follow_the_element_and_field() {
    let old = c(
        "struct weapon { const char *name; int damage; }; static const struct weapon weapons[] = {{\"fist\", 1}, {\"sword\", 5}, {\"bow\", 4}};
         static const struct weapon *CR_STATE cur; static const int *CR_STATE dmg;",
        "KEEP(cur); KEEP(weapons); KEEP(dmg); cur = &weapons[2]; dmg = &weapons[1].damage;",
    );
    let new = c(
        "static int more[300]; struct weapon { const char *name; int range; int damage; double x; }; static const struct weapon weapons[] = {{\"fist\", 1, 1, 0}, {\"sword\", 2, 55, 0}, {\"bow\", 9, 44, 0}, {\"axe\", 2, 6, 0}};
         static const struct weapon *CR_STATE cur; static const int *CR_STATE dmg;",
        "KEEP(cur); KEEP(weapons); KEEP(more); KEEP(dmg); io[0] = cur == &weapons[2]; io[1] = cur->damage; io[2] = dmg == &weapons[1].damage;",
    );
    check(&old, &new, &[1, 44, 1]);
}

#[test]
fn pointers_into_tables_that_are_not_carried_follow_too() {
    let old = c(
        "struct weapon { const char *name; int damage; }; static struct weapon weapons[] = {{\"fist\", 1}, {\"sword\", 5}, {\"bow\", 4}};
         static struct weapon *CR_STATE cur;",
        "KEEP(cur); KEEP(weapons); cur = &weapons[2];",
    );
    let new = c(
        "static int more[300]; struct weapon { const char *name; int range; int damage; double x; }; static struct weapon weapons[] = {{\"fist\", 1, 1, 0}, {\"sword\", 2, 55, 0}, {\"bow\", 9, 44, 0}, {\"axe\", 2, 6, 0}};
         static struct weapon *CR_STATE cur;",
        "KEEP(cur); KEEP(weapons); KEEP(more); io[0] = cur == &weapons[2]; io[1] = cur->damage;",
    );
    check(&old, &new, &[1, 44]);
}

#[test]
fn lists_in_a_pool() {
    let old = c(
        "struct node { struct node *next; int v; struct node **slot; }; static struct node pool[4]; static struct node *CR_STATE head;",
        "KEEP(pool); KEEP(head); head = &pool[2]; pool[2].next = &pool[0]; pool[2].v = 5; pool[0].v = 6; pool[0].slot = &pool[2].next;",
    );
    let new = c(
        "static int more[100]; struct node { double w; struct node **slot; int v; struct node *next, *prev; }; static struct node pool[6]; static struct node *CR_STATE head;",
        "KEEP(pool); KEEP(head); KEEP(more); io[0] = head == &pool[2]; io[1] = head->next == &pool[0]; io[2] = head->next->v; io[3] = head->next->slot == &pool[2].next;",
    );
    check(&old, &new, &[1, 1, 6, 1]);
}

#[test]
fn aliases_weak_hidden_and_common_variables() {
    // With -fcommon, one without an initialiser could have no alias.
    let old = c(
        "int first = 0; extern int second __attribute__((alias(\"first\"))); __attribute__((weak)) int weak; __attribute__((visibility(\"hidden\"))) int hidden; int common;",
        "KEEP(first); KEEP(weak); KEEP(hidden); KEEP(common); first = 1; weak = 2; hidden = 3; common = 4;",
    );
    let new = c(
        "static int more[50]; int weak; int hidden; static int common; int second;",
        "KEEP(second); KEEP(weak); KEEP(hidden); KEEP(common); KEEP(more); io[0] = weak; io[1] = hidden; io[2] = common; io[3] = second;",
    );
    check(&old, &new, &[2, 3, 4, 1]);
}

#[test]
fn what_has_become_something_else_begins_anew() {
    let old = c(
        "static int CR_STATE a; static int CR_STATE b[2]; struct w { int n; }; static struct w CR_STATE c; static char CR_STATE d[8]; static const char *CR_STATE e;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(d); KEEP(e); a = 1; b[0] = 2; c.n = 3; __builtin_strcpy(d, \"text\"); e = \"lit\";",
    );
    let new = c(
        "static int CR_STATE a[3] = {9, 9, 9}; static int CR_STATE b = 9; struct w { int n; }; static int CR_STATE c = 9; static const char *CR_STATE d = \"init\"; static char CR_STATE e[4] = \"ini\";",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(d); KEEP(e); io[0] = a[0]; io[1] = b; io[2] = c; io[3] = d[0] == 'i'; io[4] = e[0] == 'i';",
    );
    check(&old, &new, &[9, 9, 9, 1, 1]);
}

#[test]
fn qualifiers_and_typedefs_do_not_matter() {
    let old = c(
        "typedef unsigned char u8; typedef struct vec { float x, y; } vec; static volatile int CR_STATE a; static u8 CR_STATE b[4]; static vec CR_STATE c; static int t; static int *volatile CR_STATE p;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(p); KEEP(t); a = 1; b[3] = 200; c.y = 2; p = &t;",
    );
    let new = c(
        "typedef unsigned short u8; typedef struct vec_s { double x, z, y; } vec; static int CR_STATE a; static u8 CR_STATE b[5]; static vec CR_STATE c; static int more[99]; static int t; static const int *CR_STATE p;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(p); KEEP(t); KEEP(more); io[0] = a; io[1] = b[3]; io[2] = (long long)c.y; io[3] = p == &t;",
    );
    check(&old, &new, &[1, 200, 2, 1]);
}

#[test]
fn pointers_to_members() {
    let old = cpp(
        "struct S { int a, b; int f() { return a; } int g() { return b; } }; static int S::*CR_STATE m; static int (S::*CR_STATE f)(); static S CR_STATE s;",
        "KEEP(m); KEEP(f); KEEP(s); m = &S::b; f = &S::g; s.b = 5; s.a = 4;",
    );
    let new = cpp(
        "static int more[99]; struct S { int a, b; __attribute__((used)) int g() { return b + 1; } __attribute__((used)) int f() { return a + 1; } }; static S CR_STATE s; static int (S::*CR_STATE f)(); static int S::*CR_STATE m;",
        "KEEP(m); KEEP(f); KEEP(s); KEEP(more); io[0] = s.*m; io[1] = (s.*f)();",
    );
    check(&old, &new, &[5, 6]);
}

#[test]
fn scoped_enums_flags_and_letters() {
    let old = cpp(
        "enum class k : unsigned char { a, b, c }; namespace n { enum e { x = -5, y = 7 }; } struct s { k one; bool flag : 1; bool other; n::e e; char16_t t[3]; wchar_t w; char32_t u; }; static s CR_STATE v;",
        "KEEP(v); v.one = k::c; v.flag = true; v.other = true; v.e = n::x; v.t[1] = u'z'; v.w = L'w'; v.u = U'u';",
    );
    let new = cpp(
        "enum class k : int { z, a, b, c }; namespace n { enum e { y = 70, x = -50 }; } struct s { n::e e; int other; k one; int flag; char16_t t[6]; char32_t w; char32_t u; }; static s CR_STATE v;",
        "KEEP(v); io[0] = v.one == k::c; io[1] = v.flag; io[2] = v.other; io[3] = v.e; io[4] = v.t[1]; io[5] = v.w; io[6] = v.u;",
    );
    check(&old, &new, &[1, 1, 1, -50, 'z' as i64, 'w' as i64, 'u' as i64]);
}

#[test]
fn arrays_of_other_dimensions() {
    let old = c(
        "static int CR_STATE m[2][3]; static int CR_STATE f[6];",
        "KEEP(m); KEEP(f); for (int i = 0; i < 6; i++) { m[i / 3][i % 3] = i; f[i] = i; }",
    );
    let new = c(
        "static int CR_STATE m[3][2] = {{9, 9}, {9, 9}, {9, 9}}; static int CR_STATE f[2][3] = {{9, 9, 9}, {9, 9, 9}};",
        "KEEP(m); KEEP(f); io[0] = m[0][0]; io[1] = m[0][1]; io[2] = m[1][0]; io[3] = m[2][0]; io[4] = f[0][0];",
    );
    check(&old, &new, &[0, 1, 3, 9, 9]);
}

#[test]
fn files_that_are_joined_and_parted() {
    let step = "int a(int), b(int);\n";
    let file = |name: &str| {
        format!(
            "static int n_{name}; static struct {{ int k; }} s; int {name}(int set); int {name}(int set) {{ KEEP(n_{name}); KEEP(s); if (set) {{ n_{name} = set; }} return n_{name}; }}"
        )
    };
    let old = c(step, "a(3); b(4);")
        .with("a.c", &file("a"))
        .with("b.c", &file("b").replace(" s;", " sb;").replace("(s)", "(sb)"));
    let new = c(
        &format!("{step}{}{}", file("a"), file("b").replace(" s;", " sb;").replace("(s)", "(sb)")),
        "io[0] = a(0); io[1] = b(0);",
    );
    check(&old, &new, &[3, 4]);
    check(&new, &old.clone(), &[]);
}

#[test]
fn empty_structs_and_arrays() {
    let old = cpp(
        "struct E {}; struct Z { int n[0]; int m; }; struct D : E { int d; E e; }; static D CR_STATE d; static Z CR_STATE z; static E CR_STATE e;",
        "KEEP(d); KEEP(z); KEEP(e); d.d = 4; z.m = 5;",
    );
    let new = cpp(
        "struct E {}; struct Z { int m; int n[0]; }; struct D : E { long long d; E e; int f; }; static D CR_STATE d; static Z CR_STATE z; static E CR_STATE e;",
        "KEEP(d); KEEP(z); KEEP(e); io[0] = d.d; io[1] = z.m;",
    );
    check(&old, &new, &[4, 5]);
}

#[test]
fn floats_that_stay_what_they_are() {
    let old = c(
        "static float CR_STATE h; static long double CR_STATE q; static double CR_STATE d;",
        "KEEP(h); KEEP(q); KEEP(d); h = 1.5; q = 2.5; d = 3.5;",
    );
    let new = c(
        "static double CR_STATE d; static long double CR_STATE q; static float CR_STATE h; static int CR_STATE x;",
        "KEEP(h); KEEP(q); KEEP(d); KEEP(x); io[0] = (long long)(2 * (float)h); io[1] = (long long)(2 * (double)q); io[2] = (long long)(2 * d);",
    );
    check(&old, &new, &[3, 5, 7]);
}

#[test]
fn bit_fields_that_become_numbers() {
    let old = c(
        "struct s { unsigned a : 3, b : 5, : 0, c : 12; long long d : 40; _Bool e : 1; }; static struct s CR_STATE s[2];",
        "KEEP(s); s[1].a = 5; s[1].b = 21; s[1].c = 1000; s[1].d = -7; s[1].e = 1;",
    );
    let new = c(
        "struct s { _Bool e; long long d; unsigned char b; int c : 14; unsigned a : 2; }; static struct s CR_STATE s[3];",
        "KEEP(s); io[0] = s[1].a; io[1] = s[1].b; io[2] = s[1].c; io[3] = s[1].d; io[4] = s[1].e;",
    );
    check(&old, &new, &[0, 21, 1000, -7, 1]);
}

#[test]
fn pointers_in_unions() {
    let old = c(
        "static int f1(void) { return 1; } struct ev { int kind; union { struct { int x, y; } mouse; struct { int (*cb)(void); const char *n; } call; }; }; static struct ev CR_STATE q[4]; static int t[4];",
        "KEEP(q); KEEP(t); q[1].kind = 2; q[1].call.cb = f1; q[1].call.n = \"cb\"; q[2].mouse.y = 8;",
    );
    let new = c(
        "static int more[400]; static __attribute__((noinline,used)) int f1(void) { KEEP(more); return 2; } struct ev { int kind; int time; union { struct { int x, y; } mouse; struct { int (*cb)(void); const char *n; } call; }; }; static struct ev CR_STATE q[4]; static int t[4];",
        "KEEP(q); KEEP(t); const char *volatile k = \"cb\"; KEEP(k); io[0] = q[1].kind; io[1] = q[1].call.cb(); io[2] = q[1].call.n[0]; io[3] = q[2].mouse.y;",
    );
    check(&old, &new, &[2, 2, 'c' as i64, 8]);
}

/// clang leaves the definition of a class with virtual functions to the file that has its table. Here no file has it.
#[test]
fn what_is_known_of_a_class_is_enough_for_the_rest_of_it() {
    const CLANG: [Toolchain; 2] = [
        Toolchain { compiler: "clang", flags: &["-g", "-O0", "-fuse-ld=lld"] },
        Toolchain { compiler: "clang", flags: &["-gdwarf-4", "-O2", "-fuse-ld=lld"] },
    ];
    let class = |base: &str, more: &str| {
        format!(
            "struct S {{ virtual int f() {{ return n; }} {base} int n = 0; }};
             struct T : S {{ {more} int m = 0; int f() override {{ return n + m; }} }}; static T CR_STATE t;"
        )
    };
    let old = cpp(&class("", ""), "KEEP(t); t.n = 5; t.m = 6;");
    let look = "KEEP(t); S *s = &t; KEEP(s); io[0] = t.n; io[1] = t.m; io[2] = s->f();";
    check_with(&CLANG, &old, &cpp(&class("", ""), look), &[5, 6, 11]);
    check_with(&CLANG, &old, &cpp(&class("", "int more = 0;"), look), &[5, 6, 11]);
    check_with(&CLANG, &old, &cpp(&class("int more = 0;", ""), look), &[0, 6, 6]);
}
