//! The contract of the library with C and C++ programs, one test for each of its rows.
//!
//! The tests are scenarios of the host programs in `c-tests/host`, which load the guests in `c-tests/guest`; each
//! runs in a process of its own. `s1`, `s2` are the sections of the contract that say what programs rely on, `r01`
//! to `r20` the rows of the intended differences from the original.
//!
//! With `CR_LIB_DIR` set, the libraries `libcr.a` and `libcr.so` in that directory are tested; otherwise they are
//! built from this tree.

#![cfg(any(target_os = "linux", target_os = "macos"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail

mod support;

use std::collections::BTreeSet;

/// A module of tests, each a scenario of a host under the same name, and the list of them.
macro_rules! scenarios {
    ($(#[$doc:meta])* $module:ident, $host:literal: $($name:ident)*) => {
        scenarios! { $(#[$doc])* $module, $host: $(#[test] $name)* }
    };
    ($(#[$doc:meta])* $module:ident, $host:literal: $(#[test] $(#[$more:meta])* $name:ident)*) => {
        $(#[$doc])*
        mod $module {
            pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];
            $(
                #[test]
                $(#[$more])*
                fn $name() {
                    crate::support::run($host, stringify!($name));
                }
            )*
        }
    };
}

scenarios! {
    /// CONTRACT §1: the context, and guests built in other ways.
    context, "host":
    s1_userdata_may_be_set_after_open
    s1_userdata_may_change_between_updates
    s1_context_may_be_copied_and_moved_after_open
    s1_guest_sees_the_context_of_the_call
    s1_guest_may_write_the_context
    s1_guest_without_the_header
    s1_guest_in_cpp
    s1_old_name_of_open
    s1_struct_and_values
    s1_flow_of_versions_state_heap_crashes_and_rollbacks
}

scenarios! {
    /// CONTRACT §1: internals that real hosts touch.
    compat, "host":
    s1_internals_fullname_temppath_and_handle
    s1_internals_handle_gives_symbols_of_the_running_version
    s1_internals_so_load
    s1_internals_version_path_exists_and_del
    s1_internals_plat_init_changes_nothing_between_updates
    s1_internals_changed_and_reload
    s1_internals_rollback_goes_back_to_the_last_working_version
    s1_internals_unload
    s1_copies_deleted_behind_the_back_are_no_harm_to_what_runs
}

scenarios! {
    /// CONTRACT §1: the macros of a host.
    macros, "host":
    s1_macros_debug_prints
    s1_macros_log_error_and_trace
    s1_macros_main_func_names_the_entry_point
    s1_macros_malloc_realloc_and_free_are_used_and_balanced
    s1_macros_log_as_a_template
}

scenarios! {
    /// CONTRACT §2: loading, stepping, reloading, closing.
    life, "host":
    s2_open_prepares_the_context_and_leaves_userdata_alone
    s2_first_update_loads_and_steps_version_1
    s2_update_returns_what_the_step_returned
    s2_value_of_load_and_unload_is_not_returned
    s2_without_a_new_file_there_are_only_steps
    s2_reload_is_unload_load_and_step_in_one_update
    s2_touched_file_is_a_new_version
    s2_old_image_is_unmapped_before_the_new_one_is_mapped
    s2_pointers_into_the_image_that_are_held_in_state_stay_right
    s2_close_calls_close_and_clears_the_context
    s2_close_before_the_first_update_calls_nobody
    s2_value_of_close_is_ignored
    s2_plugin_can_be_opened_again_after_close
    s2_constructors_destructors_and_atexit_run_at_each_load_and_unload
    s2_missing_file_at_open_is_false
    s2_file_that_goes_missing_later_is_picked_up_when_it_is_back
    s2_file_that_is_emptied_later_is_picked_up_when_it_is_full
    s2_bad_image_at_a_reload_is_reported_and_the_old_version_goes_on
    s2_without_reload_check_a_new_file_is_not_looked_for
    s2_without_reload_check_a_pending_rollback_still_runs
    s2_copies_are_numbered_beside_the_original
    s2_copies_go_to_the_temporary_path
    s2_names_without_prefix_or_extension_are_numbered_too
    s2_two_plugins_are_independent
}

scenarios! {
    /// CONTRACT §2: failures in each operation.
    failure, "host":
    s2_crash_in_step_of_version_2_rolls_back_with_last_unloaded_state
    s2_version_numbers_are_never_reused
    s2_after_a_rollback_the_crashed_file_is_not_loaded_again
    s2_crash_after_crash_goes_back_version_by_version
    s2_each_rollback_restores_the_last_good_unload
    s2_crash_in_step_of_version_1_is_an_initial_failure
    s2_crash_in_load_rolls_back_with_the_next_update
    s2_crash_in_load_of_version_1_is_an_initial_failure
    s2_crash_in_load_during_a_rollback_goes_back_further
    s2_crash_in_unload_goes_back_to_the_version_before
    s2_crash_in_unload_of_version_1_is_an_initial_failure
    s2_crash_in_close_returns_normally
    s2_negative_from_step_reloads_the_same_version
    s2_negative_from_step_of_version_1_reloads_it
    s2_negative_from_load_reloads_the_same_version_until_it_is_not
    s2_negative_from_load_of_version_1_reloads_it
    s2_negative_from_unload_reloads_the_same_version
    s2_crash_after_a_user_failure_rolls_back_to_the_version_before
    s1_host_that_writes_failure_asks_for_a_reload_of_the_version
}

scenarios! {
    /// CONTRACT §2: signals, the mask, exceptions.
    signals, "host":
    s2_sigsegv_is_segfault
    s2_sigill_is_illegal
    s2_sigbus_is_misalign
    s2_sigabrt_is_abort
    s2_raise_in_the_guest_is_a_crash
    s2_kill_of_itself_in_the_guest_is_a_crash
    s2_uncaught_exception_is_abort
    s2_signal_mask_after_a_crash_is_the_one_from_before
    s2_exception_of_the_guest_reaches_the_catch_of_the_host
    s2_crash_after_an_exception_is_still_recovered
    s2_destructors_of_the_host_run_when_the_guest_throws
    s2_exception_out_of_load_leaves_the_new_version_in_place
    s2_exception_out_of_unload_leaves_the_old_version_in_place
}

scenarios! {
    /// CONTRACT §2 and §3 row 15: state and modes.
    state, "host":
    s2_state_and_bss_are_carried_over_and_data_is_not
    s2_state_is_saved_after_unload_was_called
    s2_unsafe_mode_accepts_state_that_moved
    s2_unsafe_mode_accepts_state_that_grew
    s2_unsafe_mode_accepts_a_variable_of_another_size
    s2_unsafe_mode_accepts_state_without_a_variable
    s2_unsafe_mode_refuses_a_section_that_does_not_fit_if_stripped
    s2_safest_mode_accepts_the_same_layout
    s2_safest_mode_refuses_state_that_moved
    s2_safest_mode_refuses_state_of_another_size
    s2_safest_mode_refuses_state_without_a_variable
    r15_user_failure_of_version_1_in_safest_mode_reloads_it
    r15_user_failure_in_load_of_version_1_in_safest_mode_reloads_it
    s2_safe_mode_accepts_state_that_moved
    s2_safe_mode_accepts_another_variable
    s2_safe_mode_refuses_a_section_of_another_size_if_stripped
    s2_safe_mode_refuses_state_of_another_size
    r15_user_failure_of_version_1_in_safe_mode_reloads_it
    r15_user_failure_in_load_of_version_1_in_safe_mode_reloads_it
    s2_disable_mode_carries_nothing
    s2_disable_mode_accepts_any_layout
    s2_disable_mode_rolls_back_to_first_values
}

scenarios! {
    /// CONTRACT §3 row 1: recovered only inside a guarded call.
    r01, "host":
    r01_crash_of_the_host_after_open_dies_of_it
    r01_crash_of_the_host_between_updates_dies_of_it
    r01_crash_of_the_host_after_close_dies_of_it
    r01_crash_of_the_host_after_a_crash_in_close_dies_of_it
    r01_crash_on_a_thread_that_never_entered_dies_of_it
    r01_crash_on_a_thread_while_another_is_in_a_guest_dies_of_it
    r01_crash_on_a_thread_that_was_in_a_guest_dies_of_it
    r01_crash_of_the_host_in_an_exception_handler_dies_of_it
    r01_crash_of_the_host_after_it_left_a_guest_by_longjmp_dies_of_it
    r01_abort_of_the_host_dies_of_it
    r01_failed_assertion_in_a_log_callback_dies_of_it
    r01_illegal_instruction_of_the_host_dies_of_it
    r01_division_of_the_host_dies_of_it
    r01_raise_of_the_host_dies_of_it
    r01_raise_sigbus_of_the_host_dies_of_it
    r01_stack_overflow_of_the_host_dies_of_sigsegv
    r01_stack_overflow_of_another_thread_dies_of_sigsegv
    r01_kill_by_another_process_between_updates_dies_of_it
    r01_kill_by_another_process_inside_a_guest_is_no_crash_of_it
    r01_core_is_dumped_exactly_as_without
    r01_crash_in_a_callback_of_the_host_is_the_guests
    r01_nested_crash_is_recovered_by_the_inner_call
    r01_outer_crash_after_a_nested_crash_is_recovered_by_the_outer_call
    r01_guest_that_opens_and_closes_another_plugin
    r01_exception_through_a_nested_call_leaves_the_outer_guarded
    r01_threads_crash_independently
    r01_plugin_may_wander_between_threads
    r01_two_threads_inside_guests_at_once
    r01_update_of_the_own_plugin_inside_the_guest_is_only_a_step
    r01_close_inside_the_guest_happens_when_its_call_returns
    r01_other_calls_for_the_own_plugin_inside_the_guest_do_nothing_to_it
}

scenarios! {
    /// CONTRACT §3 row 2: handlers are chained and restored.
    r02, "host":
    r02_handler_from_before_gets_the_faults_of_the_host
    r02_plain_handler_from_before_gets_the_faults_of_the_host
    r02_handler_from_before_that_returns_goes_on_where_it_was
    r02_handler_from_before_runs_under_its_own_mask
    r02_one_shot_handler_from_before_is_called_once
    r02_handler_on_a_stack_of_its_own_gets_a_stack_overflow_of_the_host
    r02_ignored_signal_stays_ignored
    r02_ignored_fault_of_the_host_dies_of_it
    r02_handler_from_before_gets_a_fault_sent_by_another_process
    r02_handlers_are_restored_when_the_last_plugin_closes
    r02_handler_that_the_host_set_later_is_left_alone_at_close
    r02_handler_that_the_host_set_later_may_chain_to_ours
    r02_open_and_close_a_hundred_times
}

scenarios! {
    /// CONTRACT §3 row 3: SIGFPE, SIGTRAP, stack overflow.
    r03, "host":
    r03_sigfpe_is_other_plus_signal
    r03_sigtrap_is_other_plus_signal
    r03_sigfpe_in_version_2_rolls_back
    r03_stack_overflow_on_the_main_thread
    r03_stack_overflow_on_another_thread
    r03_stack_overflow_on_many_threads_one_after_another
    r03_stack_overflow_on_two_threads_at_once
    r03_stack_overflow_on_a_small_stack
    r03_stack_overflow_in_load_and_unload
    r03_alternate_stack_of_the_host_is_still_its_own_after_close
}

scenarios! {
    /// CONTRACT §3 row 4: guests of every linker.
    r04, "host":
    r04_state_is_carried_bfd
    r04_state_is_carried_bfd_o2
    r04_state_is_carried_bfd_lto
    r04_state_is_carried_bfd_gc_sections
    r04_state_is_carried_bfd_stripped
    r04_state_is_carried_bfd_now
    r04_state_is_carried_bfd_norelro
    r04_state_is_carried_gold
    r04_state_is_carried_gold_o2
    r04_state_is_carried_gold_lto
    r04_state_is_carried_gold_gc_sections
    r04_state_is_carried_gold_stripped
    r04_state_is_carried_gold_now
    r04_state_is_carried_gold_norelro
    r04_state_is_carried_lld
    r04_state_is_carried_lld_o2
    r04_state_is_carried_lld_gc_sections
    r04_state_is_carried_lld_stripped
    r04_state_is_carried_lld_now
    r04_state_is_carried_lld_norelro
    r04_state_is_carried_mold
    r04_state_is_carried_mold_o2
    r04_state_is_carried_mold_gc_sections
    r04_state_is_carried_mold_stripped
    r04_state_is_carried_mold_now
    r04_state_is_carried_mold_norelro
    r04_state_is_carried_clang
    r04_state_is_carried_clang_o2
}

scenarios! {
    /// CONTRACT §3 rows 5 and 14: the first version.
    r05, "host":
    r05_crash_of_version_1_waits_for_the_file_to_change
    r05_crash_in_load_of_version_1_waits_for_the_file_to_change
    r05_new_file_may_come_right_after_the_crash
    r05_crash_after_crash_of_first_versions
    r05_crash_in_unload_of_version_1_waits_for_the_file_to_change
    r05_close_after_an_initial_failure_calls_nobody
    r05_bad_first_file_waits_for_the_file_to_change
    r14_first_update_without_reload_check_loads
    r14_first_update_without_reload_check_waits_for_a_file_that_went_missing
}

scenarios! {
    /// CONTRACT §3 row 6: incomplete files.
    r06, "host":
    r06_truncated_file_leaves_the_running_version_alone
    r06_file_truncated_at_every_boundary
    r06_stripped_file_truncated_at_every_boundary
    r06_file_truncated_at_every_boundary_as_the_first
    r06_file_overwritten_in_place_with_a_shorter_one
    r06_crash_after_a_refused_file_rolls_back_as_ever
    r06_new_file_may_come_right_after_a_refused_one
    r06_slow_writer_never_disturbs_the_running_guest
}

scenarios! {
    /// CONTRACT §3 row 7: files that are no guest.
    r07, "host":
    r07_no_entry_point
    r07_no_entry_point_names_it
    r07_entry_point_that_is_only_imported
    r07_wrong_architecture
    r07_wrong_class
    r07_wrong_byte_order
    r07_wrong_kind_of_elf
    r07_wrong_magic
    r07_no_segments
    r07_real_library_of_the_other_word_size
    r07_unresolved_symbol_goes_back_to_the_old_version
    r07_unresolved_symbol_in_the_first_version_waits_for_the_file_to_change
    r07_missing_needed_library
    r07_bad_image_of_each_kind_as_the_first_version
    r07_garbage_of_every_size
    r07_every_header_byte_turned_over
}

scenarios! {
    /// CONTRACT §3 rows 8 and 9: what a change is, and when it is noticed.
    r08, "host":
    r08_time_that_goes_backwards_is_a_change
    r08_nanoseconds_are_a_change
    r08_another_file_with_the_same_time_and_size_is_a_change
    r08_another_size_with_the_same_time_and_inode_is_a_change
    r08_symbolic_link_that_points_elsewhere_is_a_change
    r08_mode_owner_and_access_time_are_no_change
    r08_file_that_was_refused_is_tried_again_when_only_its_time_changes
    r09_file_that_arrives_between_a_crash_and_its_rollback_is_loaded_afterwards
    r09_file_that_arrives_between_a_user_failure_and_its_reload_is_loaded_afterwards
}

scenarios! {
    /// CONTRACT §3 rows 10, 11 and 12: the copies and their paths.
    r10, "host":
    r10_file_of_another_with_the_name_of_a_copy_stays
    r10_link_with_the_name_of_a_copy_is_not_followed
    r10_close_removes_all_that_was_made
    r10_close_leaves_what_has_taken_the_place_of_a_copy
    r10_rollback_whose_copy_was_deleted_is_no_end
    r10_only_the_last_copies_are_kept
    r10_file_of_a_copy_is_used_again_but_not_if_it_is_linked
    r10_forked_child_keeps_the_version_that_it_has
    r10_version_to_go_back_to_is_kept_through_any_number_of_crashes
    r10_stale_copies_of_dead_processes_are_swept_at_open
    r10_stale_copies_in_the_temporary_path_are_swept
    r10_two_processes_with_one_guest_do_not_disturb_each_other
    r10_plugins_of_one_name_share_a_directory
    r10_missing_copy_directory_is_reported_and_tried_again
    r10_missing_copy_directory_at_the_first_load
    r10_file_in_the_place_of_the_copy_directory
    r10_full_disk_is_reported_and_tried_again
    r11_temporary_path_without_a_separator_gets_one
    r11_temporary_path_may_change_and_be_taken_back
    r12_name_without_a_slash_is_that_of_a_file_here
    r12_change_of_directory_after_open_does_not_matter
    r10_full_file_system
}

scenarios! {
    /// CONTRACT §3 rows 13 and 16: a host in C, and one of several files.
    c_host, "host":
    r16_host_in_c_lives_the_whole_cycle
    r16_host_in_c_with_options
    r16_options_of_an_older_or_newer_header
    r16_allocator_of_the_options
    r16_allocator_without_memory_keeps_the_running_version
    r18_host_in_c_is_told_of_images_that_stay_mapped
    r13_null_everywhere
    r13_calls_after_a_failed_open_do_nothing
    r13_calls_after_close_do_nothing
    r13_context_of_zeros_is_not_open
    r13_failed_open_may_be_tried_again
    r16_plugin_keeps_the_macros_of_the_file_that_opened_it
}

scenarios! {
    /// CONTRACT §3 row 17: texts.
    r17, "host":
    r17_text_is_empty_before_any_failure
    r17_text_of_each_crash
    r17_text_of_a_negative_value
    r17_text_of_each_operation
    r17_text_of_an_initial_failure_keeps_the_cause
    r17_text_of_state_that_does_not_fit
    r17_text_of_a_truncated_file_tells_both_lengths
    r17_text_of_an_open_that_failed_needs_no_plugin
    r17_texts_go_to_the_log
    r17_version_string_is_that_of_the_header
}

scenarios! {
    /// CONTRACT §3 row 18: images that stay mapped.
    r18, "host":
    r18_image_with_thread_local_destructors
    r18_image_with_unique_symbols
    r18_image_with_a_running_thread
    r18_image_that_is_marked_to_stay
    r18_image_that_is_unmapped_is_not_reported
    r18_image_that_stays_may_be_opened_again
}

scenarios! {
    /// CONTRACT §3 row 20: constructors and destructors.
    r20, "host":
    r20_segfault_in_a_constructor_at_a_reload
    r20_abort_in_a_constructor_at_a_reload
    r20_uncaught_exception_in_a_constructor_at_a_reload
    r20_division_in_a_constructor_at_a_reload
    r20_stack_overflow_in_a_constructor_at_a_reload
    r20_crash_in_a_constructor_of_the_first_version
    r20_crash_in_a_constructor_during_a_rollback
    r20_crash_in_a_destructor_at_a_reload
    r20_destructor_that_always_crashes_can_be_replaced
    r20_crash_in_a_destructor_at_close
    r20_crash_in_a_destructor_when_a_crashed_version_goes
    r20_crashes_in_constructors_and_destructors_again_and_again
    r20_crash_in_a_constructor_on_another_thread
    r20_constructor_of_a_library_that_the_host_loads_itself_dies_of_its_fault
    r20_exception_out_of_a_constructor_with_a_catch_in_the_host
}

scenarios! {
    /// Paths that are no paths, and paths that are too much.
    paths, "host":
    paths_that_are_not_utf8
    paths_with_spaces_and_other_characters
    paths_of_4000_bytes
    paths_that_are_too_long
    paths_whose_copies_have_names_that_are_too_long
    paths_that_are_empty
    paths_of_directories_cannot_be_opened
    paths_of_fifos_and_devices_cannot_be_opened
    paths_where_a_directory_takes_the_place_of_the_file
    paths_where_a_fifo_takes_the_place_of_the_file
    paths_where_a_dangling_link_takes_the_place_of_the_file
    paths_where_the_directory_goes_away
    paths_without_permission_to_read
    paths_without_permission_to_write_copies
    paths_without_permission_to_enter
}

scenarios! {
    /// Events, in every flow of the life cycle, and their answers.
    events, "host":
    events_of_the_first_load
    events_of_a_reload
    events_without_state_tell_of_none
    events_of_a_crash_in_each_operation
    events_of_a_crash_in_close
    events_of_user_failures
    events_of_a_refused_file_are_told_once
    events_tell_of_an_image_that_stays_mapped
    events_a_deferred_change_is_asked_again
    events_a_skipped_file_is_never_loaded
    events_retry_after_a_crash_loads_the_file_again_with_the_backup
    events_retry_that_crashes_again_may_still_roll_back
    events_stop_after_a_crash_waits_for_the_file_to_change
    events_recover_forward_loads_the_new_version_after_a_crash_in_unload
    events_the_function_may_close_the_plugin
    events_an_update_in_the_function_is_only_a_step
    events_of_options_of_an_older_and_a_newer_header
    events_through_the_macro
}

scenarios! {
    /// The events of each row of CONTRACT §2.
    flows, "host":
    flow_crash_in_step
    flow_crash_in_each_operation_of_version_1
    flow_crash_in_load_and_in_the_rollback_after_it
    flow_crash_in_unload
    flow_negative_from_each_operation
    flow_exception_out_of_the_guest_is_no_event
    flow_file_that_goes_missing_or_empty
    flow_bad_image
    flow_without_reload_check
    flow_state_that_does_not_fit
    flow_crash_in_a_constructor
    flow_crash_in_a_constructor_may_be_retried_or_stopped
    flow_crash_in_a_destructor
    flow_rollback_on_request
    flow_reload_asked_for_inside_the_guest
}

scenarios! {
    /// CONTRACT §3 row 8, for every way in which a file changes while its changes are subscribed to.
    watch, "host":
    watch_new_time
    watch_file_that_is_renamed_into_place
    watch_file_that_is_rewritten_in_place
    watch_file_that_is_written_through_a_mapping
    watch_mapping_that_stays_open_is_noticed_within_64_updates
    watch_file_that_is_removed_and_made_again
    watch_other_names_of_the_file
    watch_directory_that_is_removed_and_made_again
    watch_directory_above_that_is_replaced
    watch_symbolic_link_on_the_way_that_is_switched
    watch_symbolic_links_to_the_file
    watch_changes_that_are_none_do_no_harm
    watch_queue_that_overflows
    watch_without_a_descriptor_to_spare
    watch_with_the_limits_of_inotify_reached
    watch_overlay_is_looked_at
    watch_file_systems_of_the_kernel_are_looked_at
    watch_file_system_that_is_mounted_over_the_path_is_noticed_within_64_updates
    watch_after_a_fork_both_processes_notice
    watch_child_process_leaves_the_watches_of_its_parent_alone
    watch_host_that_closes_all_descriptors
    watch_descriptor_that_the_host_has_taken_over_is_left_alone
    watch_on_two_threads_at_once
}

scenarios! {
    /// The same with the option `CR_WATCH`.
    watch_thread, "host":
    watch_thread_sees_changes_of_every_kind
    watch_thread_spares_updates_their_system_calls
    watch_thread_looks_where_nothing_is_told
    watch_thread_is_one_and_ends_with_the_last_plugin
    watch_thread_leaves_signals_to_the_host
    watch_thread_stays_with_the_parent_of_a_fork
    watch_thread_serves_plugins_of_many_threads
}

scenarios! {
    /// The record of a crash.
    crashes, "host":
    crash_record_names_functions_and_lines
    crash_record_names_functions_and_lines_of_optimised_code
    crash_record_of_code_without_unwind_tables
    crash_record_tells_reading_writing_and_executing
    crash_record_of_a_stripped_guest
    crash_record_of_a_jump_to_nowhere
    crash_record_of_a_stack_overflow_has_both_ends
    crash_record_leads_through_other_libraries
    crash_record_leads_through_the_host
    crash_record_is_valid_through_rollback_and_reload
    crash_record_can_be_asked_for_in_the_event
    crash_record_of_constructors_and_destructors
    crash_record_of_nested_calls_is_that_of_the_last
    crash_record_as_text
    crash_record_there_is_none_without_the_guard
}

scenarios! {
    /// A time limit for steps.
    hang, "host":
    hang_is_interrupted_and_rolled_back
    hang_is_interrupted_again_and_again_and_on_each_thread
    hang_inside_a_lock_is_waited_for
    hang_after_a_lock_is_interrupted_when_the_guest_is_in_its_own_code_again
    hang_of_the_host_is_waited_for
    hang_of_another_plugin_inside_a_step_is_its_own
    hang_limit_leaves_other_steps_and_calls_alone
    hang_limit_leaves_the_alarms_of_the_host_alone
    hang_limit_leaves_no_handler_behind
    hang_limit_needs_the_guard
}

scenarios! {
    /// Symbols, guarded calls, and what a host controls.
    calls, "host":
    symbols_of_the_version_that_is_loaded
    symbols_handles_follow_reloads_and_rollbacks
    calls_return_the_value_of_the_function
    calls_that_crash_are_failures_of_the_plugin
    calls_from_another_thread_that_has_the_plugin_to_itself
    calls_from_inside_the_guest_of_the_same_plugin
    calls_nested_three_deep_across_two_plugins
    callbacks_go_to_the_newest_version_with_a_fallback
    calls_that_close_the_plugin_close_it_when_they_return
    control_without_the_guard_a_crash_is_a_crash
    control_without_the_guard_inside_a_guarded_plugin
    control_without_the_guard_no_handler_is_installed
    control_kept_generations_leave_literals_readable
    control_a_requested_reload_needs_no_change
    control_a_reload_inside_the_guest_is_done_when_its_call_returns
    control_a_reload_inside_the_guest_waits_for_the_outermost_call
    control_a_reload_inside_a_call_that_crashes_is_left_to_the_update_after_the_rollback
    control_a_reload_inside_the_guest_gives_way_to_a_close
    control_a_reload_inside_the_guest_takes_a_request_along
    control_no_reload_while_a_build_is_under_way
}

scenarios! {
    /// After a thousand reloads and crashes everything is as flat as before.
    soak, "host":
    soak_thousand_reloads
    soak_thousand_crashes_with_rollback
    soak_thousand_crashes_of_a_first_version
    soak_thousand_user_failures
    soak_thousand_refused_files
    soak_thousand_plugins
    soak_update_without_check_makes_no_system_call
    soak_system_calls_would_be_noticed
}

scenarios! {
    /// CONTRACT §3 row 1, for a library that was loaded with dlopen.
    dlopen, "host_dlopen":
    dlopen_library_lives_the_whole_cycle
    dlopen_crashes_on_threads_are_recovered
    dlopen_crash_of_the_host_dies_of_it
    dlopen_crash_on_a_thread_that_never_entered_dies_of_it
    dlopen_stack_overflow_on_a_thread_that_never_entered_dies_of_it
    dlopen_crash_on_a_thread_that_is_older_than_the_library_dies_of_it
    dlopen_crash_after_the_library_has_gone_dies_of_it
    dlopen_crash_on_a_thread_after_the_library_has_gone_dies_of_it
    dlopen_library_may_go_while_a_thread_that_used_it_lives
}

scenarios! {
    /// A choice of the above with the shared library.
    shared_library, "host_shared":
    s1_flow_of_versions_state_heap_crashes_and_rollbacks
    s2_state_and_bss_are_carried_over_and_data_is_not
    s2_crash_in_step_of_version_2_rolls_back_with_last_unloaded_state
    s2_exception_of_the_guest_reaches_the_catch_of_the_host
    s2_uncaught_exception_is_abort
    r01_crash_of_the_host_between_updates_dies_of_it
    r01_crash_on_a_thread_that_never_entered_dies_of_it
    r01_stack_overflow_of_another_thread_dies_of_sigsegv
    r01_threads_crash_independently
    r02_handlers_are_restored_when_the_last_plugin_closes
    r03_stack_overflow_on_many_threads_one_after_another
    r16_host_in_c_lives_the_whole_cycle
    r20_abort_in_a_constructor_at_a_reload
    soak_update_without_check_makes_no_system_call
}

scenarios! {
    /// What Windows has in the place of signals, and other things of its own: `--target x86_64-pc-windows-gnu`.
    windows, "host":
    #[test] #[ignore = "for Windows"] windows_each_exception_has_its_failure
    #[test] #[ignore = "for Windows"] windows_array_bounds_are_named
    #[test] #[ignore = "for Windows"] windows_vectored_handler_of_the_guest_comes_first
    #[test] #[ignore = "for Windows"] windows_try_of_the_guest_comes_first
    #[test] #[ignore = "for Windows"] windows_finally_of_the_guest_runs_when_a_call_is_abandoned
    #[test] #[ignore = "for Windows"] windows_second_fault_in_a_finally_block_ends_the_call
    #[test] #[ignore = "for Windows"] windows_vectored_handler_of_the_host_sees_crashes_of_the_guest_first
    #[test] #[ignore = "for Windows"] windows_other_exceptions_of_the_guest_are_no_crashes
    #[test] #[ignore = "for Windows"] windows_filter_of_the_host_gets_the_faults_of_the_host
    #[test] #[ignore = "for Windows"] windows_vectored_handler_of_the_host_gets_the_faults_of_the_host
    #[test] #[ignore = "for Windows"] windows_handler_for_abort_of_the_host_is_kept
    #[test] #[ignore = "for Windows"] windows_utf8_paths
    #[test] #[ignore = "for Windows"] windows_long_paths
    #[test] #[ignore = "for Windows"] windows_file_with_the_same_times_and_size_is_noticed_within_64_updates
    #[test] #[ignore = "for Windows"] windows_locked_file_is_not_ready
    #[test] #[ignore = "for Windows"] windows_file_that_another_process_holds_is_not_ready
    #[test] #[ignore = "for Windows"] windows_libraries_beside_the_original_are_found
    #[test] #[ignore = "for Windows"] windows_each_version_has_a_pdb_of_its_own
    #[test] #[ignore = "for Windows"] windows_pdb_beside_the_guest_is_found_and_may_be_missing
    #[test] #[ignore = "for Windows"] windows_pdb_that_is_held_too_long_is_done_without
    #[test] #[ignore = "for Windows"] windows_guest_of_microsofts_abi_with_a_pdb
    #[test] #[ignore = "for Windows"] windows_struct_that_has_grown_is_known_by_the_pdb
    #[test] #[ignore = "for Windows"] windows_two_processes
    #[test] #[ignore = "for Windows"] windows_copies_that_stay_mapped_are_swept_later
}

/// Also for a machine whose programs cannot be run here.
#[test]
fn hosts_and_guests_are_built() {
    let suite = support::suite();
    let there = |file: &str| suite.directory.join("guests").join(file).exists();
    assert!(["host", "host_shared", "host_dlopen"].iter().all(|host| suite.program(host).exists()));
    assert!(there("general_a.so") && there("crashing_o2.so") && there("lifetime_b.so"));
}

/// A scenario that is in no list would never run.
#[test]
fn every_scenario_of_the_hosts_is_a_test() {
    let listed = |host: &str| -> BTreeSet<String> {
        support::output(support::suite().command(host).arg("--list")).lines().map(str::to_owned).collect()
    };
    let tests = |lists: &[&[&str]]| lists.iter().flat_map(|list| list.iter().map(|name| (*name).to_owned())).collect();
    let of_host: BTreeSet<String> = tests(&[
        context::NAMES,
        compat::NAMES,
        macros::NAMES,
        life::NAMES,
        failure::NAMES,
        signals::NAMES,
        state::NAMES,
        r01::NAMES,
        r02::NAMES,
        r03::NAMES,
        r04::NAMES,
        r05::NAMES,
        r06::NAMES,
        r07::NAMES,
        r08::NAMES,
        r10::NAMES,
        c_host::NAMES,
        r17::NAMES,
        r18::NAMES,
        r20::NAMES,
        paths::NAMES,
        events::NAMES,
        flows::NAMES,
        hang::NAMES,
        watch::NAMES,
        watch_thread::NAMES,
        crashes::NAMES,
        calls::NAMES,
        soak::NAMES,
        windows::NAMES,
    ]);
    let left_out = support::left_out(windows::NAMES).into_iter().map(str::to_owned);
    let of_dlopen_host: BTreeSet<String> = tests(&[dlopen::NAMES]);
    let all = listed("host").into_iter().chain(listed("host_dlopen")).chain(left_out);
    assert_eq!(all.collect::<BTreeSet<_>>(), of_host.union(&of_dlopen_host).cloned().collect());
    assert_eq!(listed("host_dlopen"), of_dlopen_host);
    assert!(shared_library::NAMES.iter().all(|name| of_host.contains(*name)));
}

/// CONTRACT §3 row 16.
#[test]
fn r16_shared_library_exports_the_c_functions_and_nothing_else() {
    let mut exported = support::exported(&support::suite().shared_library);
    exported.sort();
    let functions = [
        "cr_crash_write",
        "cr_plugin_call",
        "cr_plugin_changed",
        "cr_plugin_close",
        "cr_plugin_crash",
        "cr_plugin_error",
        "cr_plugin_get_symbol",
        "cr_plugin_load",
        "cr_plugin_open",
        "cr_plugin_open_with",
        "cr_plugin_reload",
        "cr_plugin_request_reload",
        "cr_plugin_rollback",
        "cr_plugin_state_report",
        "cr_plugin_symbol",
        "cr_plugin_unload",
        "cr_plugin_update",
        "cr_set_temporary_path",
        "cr_symbol_free",
        "cr_symbol_get",
        "cr_version_string",
    ];
    assert_eq!(exported, functions);
}

/// CONTRACT §3 row 16. Names of Rust are mangled and cannot clash with those of a C program.
#[test]
fn r16_static_library_has_no_names_that_a_host_may_have() {
    let own = ["cr_", "_R", "_ZN", "__", "rust_", "DW.ref.", ".refptr."];
    let ours = |name: &String| own.iter().any(|own| name.starts_with(own));
    let names = support::names(&["-g", "--defined-only"], &support::suite().static_library);
    assert!(names.iter().any(|name| name == "cr_plugin_update"));
    let others: Vec<_> = names.iter().filter(|name| !ours(name)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// CONTRACT §3 row 16: guests see nothing of cr in a host that is linked statically.
#[test]
fn r16_host_exports_nothing_of_the_library() {
    if support::is_left_out("host", "r16_host_exports_nothing_of_the_library") {
        return;
    }
    let exported = support::exported(&support::suite().program("host"));
    let ours: Vec<_> = exported.iter().filter(|name| name.starts_with("cr_") || *name == "env").collect();
    assert!(ours.is_empty(), "{ours:?}");
}
