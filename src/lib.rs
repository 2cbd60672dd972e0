//! npvr: live channels become a permanent archive.
//!
//! A cron line or a systemd timer runs `npvr check`. That run asks each channel what its live window still holds, captures
//! what the archive lacks into one fragmented-MP4 chunk per grid cell, puts it into a store, and writes it into a ledger.
//! The way of the data is one line: `source.timeline() → plan(now, timeline, ledger rows) → capture(cell) → store.put →
//! ledger.commit`.
//!
//! # Layers
//!
//! A module uses only modules on lower lines (upwards in this table); modules on one line never see each other. A module
//! without a link is not there yet: this is its place. `tests/layers` reads this table, and fails where the code differs.
//!
//! | line | modules | what is there |
//! |---|---|---|
//! | 0 | [`error`], [`secret`], [`words`] | what went wrong and what to do about it; text that is never shown; numbers as people read them |
//! | 0b | [`time`] | instants, media time, durations, ranges |
//! | 1 | [`grid`], [`track`] | cells; what a track is, and which are selected |
//! | 1b | [`media`] | fragmented MP4: bytes in, values out |
//! | 2 | [`channel`], [`timeline`] | raw TOML → a valid channel, every default and limit; what a source holds |
//! | 3 | [`plan`], [`retention`], [`clip`] | pure decisions |
//! | 3b | [`playlist`] | what is written of them: a clip as text, or as the head of a file |
//! | 4 | [`clock`], [`failpoint`] | the only reader of the real time; where a test can kill the program |
//! | 5 | [`channels`], [`ledger`], [`store`], [`source`] | ports: a trait, its promises, one suite for all adapters behind it |
//! | 5b | [`program`] | another program, run so that nothing of it goes on when npvr does not |
//! | 6 | [`capture`], [`playback`] | one cell, from segments to a chunk, by npvr itself or by another program: the order of effects; clips, from the ledger |
//! | 6b | [`check`], [`prune`], [`status`] | what the subcommands do, each for itself |
//! | 6c | [`verify`], [`metrics`] | the ledger beside the store, which has `check` capture again what is bad; what monitoring reads |
//! | 7 | [`http`], [`sim`] | routes → answers; a simulated live origin to rehearse with |
//! | 8 | [`cli`] | one file a subcommand; exit codes; the only printing |
//!
//! Lines 0 to 3 are pure: no input or output, clock, environment, `async` or logging. They carry most of the tests.
//!
//! # Invariants
//!
//! 1. A row says `complete` or `partial` only for an object that is stored whole, with its size and SHA-256.
//!    Tests: `a_cell_whose_object_is_being_deleted_is_not_claimed`, `an_object_that_is_not_there_is_captured_again`,
//!    `killed_before_the_chunk_is_put_the_next_run_puts_it`, `killed_after_the_chunk_is_put_the_next_run_writes_it_down`,
//!    `a_full_disk_fails_the_cells_and_with_room_again_everything_is_archived`,
//!    `a_large_file_that_is_not_what_was_announced_changes_nothing_and_leaves_no_part`,
//!    `every_kind_of_damage_is_found_and_named_and_nothing_else_is`.
//! 2. Every object in the store has a row, or a name that marks it unfinished, or is reported by `verify`.
//!    Tests: `killed_while_the_chunk_is_put_the_next_run_puts_it_and_clears_up`,
//!    `killed_after_any_step_the_next_run_goes_on`, `what_cannot_be_deleted_is_told_and_waits_for_the_next_run`,
//!    `what_no_row_speaks_of_is_told_and_stays_and_a_chunk_of_ours_is_written_down_by_a_repair`,
//!    `rows_and_a_listing_give_just_their_differences_however_they_come_in_pages`.
//! 3. A complete chunk is never overwritten; a partial one only by one that covers strictly more.
//!    Tests: `a_captured_cell_becomes_complete_and_is_never_claimed_again`, `a_new_object_takes_nobodys_place`,
//!    `a_partial_chunk_is_captured_again_only_if_that_covers_strictly_more`,
//!    `a_gap_that_the_source_fills_later_is_filled_in_the_archive`,
//!    `an_object_that_a_row_speaks_of_is_never_deleted_as_garbage`.
//! 4. A cell is captured by one process at a time, however many are started, on whatever schedule; a dead one holds nothing.
//!    Tests: `twenty_overlapping_checks_killed_at_random_moments_fifty_times_leave_every_cell_whole`,
//!    `eight_threads_on_one_cell_leave_one_running_job`,
//!    `the_job_of_a_dead_claimer_is_written_down_as_died_and_cannot_come_back`.
//! 5. A kill at any instant loses no stored media and needs no hand: the next run carries on.
//!    Tests: `a_capture_that_is_killed_after_any_step_is_finished_by_the_next_run`,
//!    `an_upload_in_parts_that_is_killed_after_any_step_is_finished_by_the_next_run`,
//!    `killed_while_fragments_are_written_the_next_run_fetches_what_is_not_whole`,
//!    `killed_after_the_commit_the_next_run_deletes_the_spool`,
//!    `what_is_whole_in_the_spool_is_not_fetched_again_and_what_may_be_torn_is`,
//!    `killed_after_any_step_the_next_run_carries_on`.
//! 6. Media bytes are untouched: every `mdat` is the source's; decode times are on the Unix epoch, in the source's timescale.
//!    Tests: `a_publishing_point_is_archived_whole_and_asked_once_when_nothing_is_new`,
//!    `a_placed_fragment_reads_back_as_placed_and_its_media_is_untouched`,
//!    `a_channel_is_archived_by_the_program_and_the_media_is_that_of_our_own_engine`.
//! 7. Each segment is in exactly one chunk: the one whose cell holds its start (exact rational comparison). Joined chunks
//!    have no hole and no overlap.
//!    Tests: `dash_by_time_is_archived_whole_and_asked_once_when_nothing_is_new`, `cells_tile_any_range`,
//!    `a_tick_before_a_cell_is_not_in_it_however_fine_the_tick`, `where_chunks_overlap_no_media_comes_twice`,
//!    `every_fragment_that_is_asked_for_comes_once_and_no_other`, `joined_clips_have_the_fragments_of_the_whole`.
//! 8. Every decision takes `now` as an argument.
//!    Tests: `the_code_keeps_to_the_map_and_to_its_rules`,
//!    `a_host_whose_clock_is_wrong_archives_by_the_clock_of_the_source`; clippy refuses a clock that is read elsewhere.
//! 9. One channel's failure never stops another's.
//!    Tests: `a_source_that_is_down_is_told_with_a_remedy_and_the_others_are_archived`,
//!    `a_channel_file_that_cannot_be_used_is_named_with_its_line_and_the_others_go_on`,
//!    `a_fuse_that_bites_in_one_channel_stops_no_other`.
//! 10. What is missing is written down: each gap has a track, a range and a reason. Nothing is skipped silently.
//!     Tests: `a_gap_in_one_audio_track_is_one_gap_told_once_and_every_other_cell_is_whole`,
//!     `holes_are_told_apart_by_their_reasons`, `a_head_that_the_source_was_not_seen_to_hold_is_a_gap`,
//!     `a_track_without_a_fragment_lacks_the_whole_cell`,
//!     `every_archived_instant_is_played_once_and_every_other_is_told`, `what_is_missing_is_skipped_or_marked_or_refused_and_told`.
//! 11. Secrets are in no log, job, command line, error, status, or HTTP answer; but for what the operator has `mp4split` told,
//!     which has no other way to be told, and puts it into its manifests.
//!     Tests: `secrets_are_in_no_output_no_log_and_no_ledger_whatever_goes_wrong`,
//!     `the_licence_and_the_secrets_of_urls_are_in_no_line`,
//!     `the_file_is_there_after_a_check_that_failed_and_others_can_read_it_and_it_has_no_secret`,
//!     `a_bucket_that_does_not_let_us_in_is_told_with_a_remedy_and_without_the_keys`,
//!     `what_makes_no_sense_is_refused_and_nothing_is_written_and_no_secret_is_said`,
//!     `channels_are_shown_without_secrets_switched_and_removed`,
//!     `what_the_program_says_when_it_fails_is_answered_without_secrets`,
//!     `the_keys_of_a_bucket_are_on_the_command_line_only_where_the_channel_says_so`,
//!     `a_channel_is_written_by_who_may_and_by_nobody_else`,
//!     `nothing_that_a_client_writes_breaks_a_line_or_shows_a_secret`,
//!     `players_are_sent_to_the_bucket_and_get_their_part_there`, `neither_keys_nor_signatures_are_in_a_log`.
//! 12. Memory does not grow with chunk length, bitrate, archive size or the number of channels.
//!     Tests: `a_manifest_without_an_end_is_given_up_with_bounded_memory`,
//!     `a_segment_without_an_end_is_given_up_with_bounded_memory`,
//!     `each_bad_request_is_refused_or_closed_and_the_server_goes_on_with_memory_where_it_was`,
//!     `five_hundred_slow_readers_keep_nobody_waiting_and_take_little_memory`; the bench measures the
//!     peak of a large chunk.

pub mod capture;
pub mod channel;
pub mod channels;
pub mod check;
pub mod cli;
pub mod clip;
pub mod clock;
pub mod error;
pub mod failpoint;
pub mod grid;
pub mod http;
pub mod ledger;
pub mod media;
pub mod metrics;
pub mod plan;
pub mod playback;
pub mod playlist;
pub mod program;
pub mod prune;
pub mod retention;
pub mod secret;
pub mod sim;
pub mod source;
pub mod status;
pub mod store;
pub mod time;
pub mod timeline;
pub mod track;
pub mod verify;
pub mod words;
