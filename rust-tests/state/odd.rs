//! Edits that are seldom made, and types that are seldom used.

use crate::fixture::{Toolchain, c, cpp};
use crate::real::{check, check_with};

const CPP_20: [Toolchain; 3] = [
    Toolchain {
        compiler: "gcc",
        flags: &["-g", "-O1", "-std=c++20", "-fvisibility=hidden", "-fuse-ld=gold", "-Wl,--icf=all"],
    },
    Toolchain {
        compiler: "gcc",
        flags: &["-g", "-O2", "-std=c++20", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"],
    },
    Toolchain { compiler: "clang", flags: &["-g", "-O0", "-std=c++20", "-fuse-ld=lld", "-Wl,--icf=all"] },
];

#[test]
fn text_of_another_kind_of_letters() {
    let old = cpp(
        "struct s { char name[8]; }; static s CR_STATE a, CR_STATE b, CR_STATE d; static signed char CR_STATE n[2];",
        "KEEP(a); KEEP(b); KEEP(d); KEEP(n); s *all[] = {&a, &b, &d}; for (s *p : all) { __builtin_strcpy(p->name, \"\\xc3\\xa9t\\xc3\\xa9\"); } n[0] = -1; n[1] = 1;",
    );
    let new = cpp(
        "#include <cstddef>\nstruct sa { unsigned char name[16]; }; struct sb { char8_t name[16]; }; struct sd { std::byte name[4]; };
         static sa CR_STATE a; static sb CR_STATE b; static sd CR_STATE d; static unsigned char CR_STATE n[2] = {7, 7};",
        "KEEP(a); KEEP(b); KEEP(d); KEEP(n); io[0] = __builtin_strcmp((char *)a.name, \"\\xc3\\xa9t\\xc3\\xa9\"); io[1] = __builtin_strcmp((char *)b.name, \"\\xc3\\xa9t\\xc3\\xa9\"); 
         io[2] = __builtin_memcmp(d.name, \"\\xc3\\xa9t\\xc3\", 4); io[3] = n[0]; io[4] = n[1];",
    );
    check_with(&CPP_20, &old, &new, &[0, 0, 0, 7, 1]);
}

#[test]
fn floats_of_the_same_width() {
    let old = c(
        "static long double CR_STATE a; static __float128 CR_STATE b; struct s { __float128 q; long double l; }; static struct s CR_STATE s;",
        "KEEP(a); KEEP(b); KEEP(s); a = 2.5L; b = -3.5; s.q = 4; s.l = 5;",
    );
    let new = c(
        "static __float128 CR_STATE a; static long double CR_STATE b; struct s { long double q; __float128 l; }; static struct s CR_STATE s;",
        "KEEP(a); KEEP(b); KEEP(s); io[0] = (long long)((double)a * 2); io[1] = (long long)((double)b * 2); io[2] = (long long)s.q; io[3] = (long long)(double)s.l;",
    );
    check(&old, &new, &[5, -7, 4, 5]);
}

#[test]
fn arguments_of_templates() {
    let old = cpp(
        "#include <array>\n#include <utility>\ntemplate <class T, int N = 4> struct ring { T all[N]; int head; }; template <class T> struct base { T value; }; struct d : base<int> { int own; };
         static ring<int> CR_STATE r; static d CR_STATE o; static std::array<int, 4> CR_STATE a; static std::pair<int, float> CR_STATE p;",
        "KEEP(r); KEEP(o); KEEP(a); KEEP(p); r.all[2] = 3; r.head = 2; o.value = 5; o.own = 6; a[3] = 7; p.first = 8; p.second = 1.5f;",
    );
    let new = cpp(
        "#include <array>\n#include <utility>\ntemplate <class T, int N = 8> struct ring { int head; T all[N]; }; template <class T> struct base { T value; }; namespace n { struct d : base<long long> { int more; int own; }; }
         static ring<long long> CR_STATE r; static n::d CR_STATE o; static std::array<long long, 6> CR_STATE a; static std::pair<long long, double> CR_STATE p;",
        "KEEP(r); KEEP(o); KEEP(a); KEEP(p); io[0] = r.all[2]; io[1] = r.head; io[2] = o.value; io[3] = o.own; io[4] = a[3]; io[5] = p.first; io[6] = (long long)(p.second * 2);",
    );
    check_with(&CPP_20, &old, &new, &[3, 2, 5, 6, 7, 8, 3]);
}

#[test]
fn atomics_of_cpp() {
    let old = cpp(
        "#include <atomic>\nstatic std::atomic<int> CR_STATE n; static std::atomic<bool> CR_STATE b; static std::atomic_flag CR_STATE f; struct s { std::atomic<unsigned> u; int x; }; static s CR_STATE s1;",
        "KEEP(n); KEEP(b); KEEP(f); KEEP(s1); n = 4; b = true; f.test_and_set(); s1.u = 9; s1.x = 3;",
    );
    let new = cpp(
        "#include <atomic>\nstatic std::atomic<long long> CR_STATE n; static std::atomic<bool> CR_STATE b; static std::atomic_flag CR_STATE f; struct s { int x; std::atomic<unsigned long long> u; }; static s CR_STATE s1;",
        "KEEP(n); KEEP(b); KEEP(f); KEEP(s1); io[0] = n; io[1] = b; io[2] = f.test_and_set(); io[3] = s1.u; io[4] = s1.x;",
    );
    check_with(&CPP_20, &old, &new, &[4, 1, 1, 9, 3]);
}

#[test]
fn symbols_that_are_called_otherwise_than_in_the_source() {
    let filler = |n: usize| {
        (0..n).map(|i| format!("struct f{i} {{ int a, b, c, d; struct f{i} *e; }} *f{i}; int g{i}(struct f{i} *p); int g{i}(struct f{i} *p) {{ struct f{i} q = *p; return q.a + q.b; }}\n")).collect::<String>()
    };
    let old = c(
        &(filler(60)
            + "struct s { int a, b; }; struct s CR_STATE source __asm__(\"in_assembly\"); static int CR_STATE other __asm__(\"more_assembly\");"),
        "KEEP(source); KEEP(other); source.a = 1; source.b = 2; other = 3;",
    );
    let new = c(
        &(filler(50)
            + "struct s { long long b; long long a; }; struct s CR_STATE source __asm__(\"in_assembly\"); static long long CR_STATE other __asm__(\"more_assembly\");"),
        "KEEP(source); KEEP(other); io[0] = source.a; io[1] = source.b; io[2] = other;",
    );
    check(&old, &new, &[1, 2, 3]);
}
