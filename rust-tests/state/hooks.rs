//! `CR_STATE_RENAMED` and `cr_migrate`.

use crate::fixture::{PLAIN, Run, c, cpp, each};
use cr::abi::{cr_failure, cr_mode};

#[test]
fn renamed_variables_take_over_the_value() {
    let old = c(
        "static int CR_STATE health = 100; static int count; int all;",
        "KEEP(health); KEEP(count); health = 70; count = 7; all = 8;",
    );
    let new = c(
        "static int CR_STATE player_health = 100; static int number; int all_of_them; static int CR_STATE health = 3;
         CR_STATE_RENAMED(player_health, \"health\");
         CR_STATE_RENAMED(number, \"count\");
         CR_STATE_RENAMED(all_of_them, \"all\");",
        "KEEP(player_health); KEEP(number); KEEP(health); io[0] = player_health; io[1] = number; io[2] = all_of_them; io[3] = health;",
    );
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..4], [70, 7, 8, 3], "{toolchain:?}"));
    // A linker that throws away what nobody uses keeps the names.
    let collected =
        crate::fixture::Toolchain { compiler: "cc", flags: &["-O1", "-fdata-sections", "-Wl,--gc-sections"] };
    let (old, new) = (old.build(collected).unwrap(), new.build(collected).unwrap());
    assert_eq!(crate::fixture::reload(&old, &new).io[..4], [70, 7, 8, 3]);
}

#[test]
fn renamed_variables_of_cpp() {
    let old = cpp(
        "namespace game { static int health; } static int count;",
        "KEEP(game::health); KEEP(count); game::health = 70; count = 7;",
    );
    let new = cpp(
        "namespace play { int life; } namespace { int number; }
         CR_STATE_RENAMED(play::life, \"game::health\");
         CR_STATE_RENAMED(number, \"count\");",
        "KEEP(number); io[0] = play::life; io[1] = number;",
    );
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..2], [70, 7], "{toolchain:?}"));
}

const MIGRATE: &str = "
    CR_EXPORT void cr_migrate(struct cr_plugin *ctx, const struct cr_migration *migration);
    CR_EXPORT void cr_migrate(struct cr_plugin *ctx, const struct cr_migration *migration)";

#[test]
fn migrate_gets_the_old_bytes_and_the_new_place() {
    let old = c("static int CR_STATE meters = 1; static int keep;", "KEEP(meters); KEEP(keep); meters = 12; keep = 5;");
    let new = c(
        &format!(
            "static double CR_STATE kilometers = 0; static int keep; static long long seen[8];
             {MIGRATE} {{
                 size_t size = 0;
                 const int *before = (const int *)migration->old_variable(migration, \"meters\", &size);
                 seen[0] = size; seen[1] = migration->old_version; seen[2] = migration->new_version;
                 double *after = (double *)migration->new_variable(migration, \"kilometers\", &size);
                 seen[3] = size; seen[4] = after == &kilometers; seen[5] = keep; seen[6] = ctx->version;
                 seen[7] = !migration->old_variable(migration, \"nothing\", &size) && !size
                     && !migration->new_variable(migration, \"meters\", 0) && !migration->old_variable(migration, 0, 0);
                 *after = *before / 1000.0;
             }}"
        ),
        "KEEP(kilometers); KEEP(keep); KEEP(seen); for (int i = 0; i < 8; i++) io[i] = seen[i]; io[8] = (long long)(kilometers * 1000);",
    );
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..9], [4, 1, 2, 8, 1, 5, 2, 1, 12], "{toolchain:?}"));
}

#[test]
fn crash_in_migrate_is_one_in_load() {
    let old = c("static int CR_STATE a = 1;", "io[0] = ++a;");
    let new = c(
        &format!("static int CR_STATE a = 1; {MIGRATE} {{ *(volatile int *)0 = a; (void)ctx; (void)migration; }}"),
        "io[0] = -1;",
    );
    let (old, new) = (old.build(PLAIN).unwrap(), new.build(PLAIN).unwrap());
    let mut run = Run::new(&old, cr_mode::CR_UNSAFE);
    run.step().unwrap();
    run.install(&new);
    let failure = run.step().unwrap_err();
    assert_eq!((failure.value, failure.failure), (-2, cr_failure::CR_SEGFAULT as u32));
    assert!(failure.text.contains("cr_migrate of version 2"), "{}", failure.text);
    assert_eq!(run.step().unwrap(), 1);
    assert_eq!(run.io[0], 3);
}

#[test]
fn migrate_is_not_called_when_the_version_goes_back_to_its_own_state() {
    let source = format!("static int CR_STATE calls = 0; {MIGRATE} {{ calls++; (void)ctx; (void)migration; }}");
    let image = c(&source, "if (io[1]) __builtin_trap(); io[0] = calls;").build(PLAIN).unwrap();
    let mut run = Run::new(&image, cr_mode::CR_UNSAFE);
    run.step().unwrap();
    assert_eq!(run.io[0], 0);
    run.install(&image);
    run.step().unwrap();
    assert_eq!(run.io[0], 1);
    run.io[1] = 1;
    run.step().unwrap_err();
    run.io[1] = 0;
    assert_eq!(run.step().unwrap(), 1);
    assert_eq!(run.io[0], 0);
}
