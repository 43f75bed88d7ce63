//! The laws of SQS, one function each, on every server that speaks its protocol: the embedded queue, ElasticMQ, moto and,
//! when asked for, AWS itself. What a server is known to do otherwise is listed in `gaps.rs`, and must still be so.
//!
//! AWS: `AFTERIMAGE_TEST_AWS_SQS=1 cargo test -p afterimage-embedded-queue --test conformance aws::` with region and
//! credentials as the SDK finds them (`sqs:*` on queues and `sns:*` on topics named `afterimage-conformance-*`). It makes
//! about a hundred queues, deletes them in the end, and sends a few thousand requests: within the free tier, a fraction of
//! a US cent beyond it (<https://aws.amazon.com/sqs/pricing/>).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails and says where; skipped tests say so"
)]

mod gaps;
mod laws;
mod queue;
mod server;

/// For each law one test on each server.
macro_rules! conformance {
    ($($chapter:ident { $($law:ident,)+ })+) => {
        conformance!(@server embedded, Embedded, $($($chapter $law,)+)+);
        conformance!(@server elasticmq, ElasticMq, $($($chapter $law,)+)+);
        conformance!(@server moto, Moto, $($($chapter $law,)+)+);
        conformance!(@server aws, Aws, $($($chapter $law,)+)+);

        /// Every law by name: a gap must name one of them.
        const LAWS: &[&str] = &[$($(stringify!($law),)+)+];
    };
    (@server $module:ident, $server:ident, $($chapter:ident $law:ident,)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                crate::server::run(crate::server::Server::$server, stringify!($law), crate::laws::$chapter::$law).await;
            })+
        }
    };
}

conformance! {
    polling {
        every_send_wakes_a_long_poll,
        a_long_poll_of_an_empty_queue_ends_empty,
        a_request_may_poll_shorter_than_its_queue_says,
        the_wait_of_the_queue_counts_where_the_request_names_none,
        the_end_of_a_time_out_wakes_a_long_poll,
        the_end_of_a_delay_wakes_a_long_poll,
    }
    visibility {
        a_received_message_is_hidden_and_comes_again_when_its_time_out_ends,
        a_change_to_zero_gives_back_at_once,
        an_extension_holds,
        no_message_is_kept_longer_than_twelve_hours_in_all,
        a_time_out_beyond_twelve_hours_is_refused,
        a_change_needs_a_message_in_flight,
        receives_are_counted_and_the_first_is_remembered,
        the_sent_timestamp_is_in_milliseconds,
    }
    handles {
        deleting_again_succeeds,
        deleting_with_an_older_handle_succeeds,
        garbage_is_no_handle,
        the_handle_of_another_queue_is_refused,
    }
    messages {
        a_body_comes_back_as_it_was_sent,
        md5s_are_those_that_sdks_check,
        attributes_come_by_name,
        system_attributes_come_by_name,
        a_mebibyte_is_accepted,
        more_than_a_mebibyte_is_refused,
        characters_outside_the_allowed_set_are_refused,
        an_empty_body_is_refused,
        the_largest_size_of_the_queue_is_kept,
    }
    batches {
        sends_fail_one_by_one,
        deletes_fail_one_by_one,
        changes_of_visibility_fail_one_by_one,
        a_batch_without_entries_is_refused,
        a_batch_of_eleven_is_refused,
        two_entries_of_one_id_are_refused,
        an_id_with_odd_characters_is_refused,
        a_batch_of_a_mebibyte_is_accepted,
        a_batch_of_more_than_a_mebibyte_is_refused,
    }
    queues {
        a_queue_is_found_by_its_name,
        queues_are_listed_by_prefix_in_pages,
        what_does_not_exist_is_refused,
        errors_arrive_typed,
        creating_again_is_harmless,
        creating_again_otherwise_is_refused,
        attributes_are_kept_and_shown,
        attributes_out_of_range_are_refused,
        unknown_attributes_are_refused,
        parameters_out_of_range_are_refused,
        a_queue_name_has_letters_digits_hyphens_and_underscores,
        counts_tell_visible_in_flight_and_delayed,
        a_purge_empties_the_queue,
        tags_are_set_shown_and_removed,
    }
    dead_letters {
        what_is_received_too_often_moves_and_tells_where_from,
        a_redrive_policy_needs_a_queue_to_point_to,
        the_sources_of_a_dead_letter_queue_are_listed,
        a_move_task_brings_messages_back_afresh,
        a_move_task_needs_a_dead_letter_queue,
    }
    fifo {
        a_group_comes_in_the_order_it_was_sent,
        several_of_a_group_come_in_one_receive,
        a_group_in_flight_is_blocked_and_others_are_not,
        what_is_given_back_precedes_its_successors,
        a_deduplication_id_counts_once_even_after_the_delete,
        equal_bodies_count_once_where_content_deduplicates,
        a_message_without_deduplication_is_refused,
        a_message_without_a_group_is_refused,
        sequence_numbers_increase,
        a_dead_letter_keeps_its_group,
        a_message_has_no_delay_of_its_own,
        a_name_and_an_attribute_make_a_queue_fifo,
    }
    sns {
        raw_delivery_brings_the_message_itself,
        wrapped_delivery_brings_a_notification,
    }
}
