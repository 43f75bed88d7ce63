//! Where a server is known to differ. A law listed here is run all the same, and must fail: so the list cannot rot.

use crate::server::Server::{self, ElasticMq, Embedded, Moto};

/// A law that a server does not keep.
#[derive(Debug)]
pub(crate) struct Gap {
    server: Server,
    law: &'static str,
    /// What the server does instead.
    pub(crate) why: &'static str,
    /// The vendor's issue or documentation, where there is one.
    pub(crate) link: &'static str,
    /// Not run: failing would hang or harm the server.
    pub(crate) skips: bool,
}

const fn differs(server: Server, law: &'static str, why: &'static str, link: &'static str) -> Gap {
    Gap { server, law, why, link, skips: false }
}

const fn skipped(server: Server, law: &'static str, why: &'static str, link: &'static str) -> Gap {
    Gap { server, law, why, link, skips: true }
}

/// Where an issue of its own is not known: what the vendors say of the whole.
const ELASTICMQ: &str = "https://github.com/softwaremill/elasticmq#readme";
const MOTO: &str = "https://docs.getmoto.org/en/latest/docs/services/sqs.html";
const SNS: &str = "https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html";

const GAPS: &[Gap] = &[
    differs(ElasticMq, "a_batch_of_more_than_a_mebibyte_is_refused", "the code is InvalidAttributeValue", ELASTICMQ),
    differs(ElasticMq, "a_batch_without_entries_is_refused", "it is accepted", ELASTICMQ),
    differs(ElasticMq, "a_change_needs_a_message_in_flight", "it succeeds", ELASTICMQ),
    differs(ElasticMq, "a_move_task_needs_a_dead_letter_queue", "the answer has no error code", ELASTICMQ),
    differs(ElasticMq, "a_name_and_an_attribute_make_a_queue_fifo", "the code is InvalidAttributeName", ELASTICMQ),
    differs(
        ElasticMq,
        "a_queue_name_has_letters_digits_hyphens_and_underscores",
        "the code is InvalidAttributeName",
        ELASTICMQ,
    ),
    differs(ElasticMq, "a_time_out_beyond_twelve_hours_is_refused", "it is accepted", ELASTICMQ),
    differs(ElasticMq, "an_empty_body_is_refused", "the code is InvalidAttributeValue", ELASTICMQ),
    differs(ElasticMq, "an_id_with_odd_characters_is_refused", "it is accepted", ELASTICMQ),
    differs(ElasticMq, "attributes_come_by_name", "prefixes select nothing", ELASTICMQ),
    differs(ElasticMq, "attributes_out_of_range_are_refused", "they are accepted", ELASTICMQ),
    differs(ElasticMq, "changes_of_visibility_fail_one_by_one", "more than twelve hours are accepted", ELASTICMQ),
    differs(
        ElasticMq,
        "characters_outside_the_allowed_set_are_refused",
        "the code is InvalidAttributeValue",
        ELASTICMQ,
    ),
    differs(
        ElasticMq,
        "deleting_again_succeeds",
        "ReceiptHandleIsInvalid",
        "https://github.com/softwaremill/elasticmq/pull/443",
    ),
    differs(
        ElasticMq,
        "deleting_with_an_older_handle_succeeds",
        "ReceiptHandleIsInvalid",
        "https://github.com/softwaremill/elasticmq/pull/443",
    ),
    differs(
        ElasticMq,
        "errors_arrive_typed",
        "the header x-amzn-query-error lacks the party at fault",
        "https://github.com/softwaremill/elasticmq/issues/1188",
    ),
    differs(ElasticMq, "more_than_a_mebibyte_is_refused", "the code is InvalidAttributeValue", ELASTICMQ),
    differs(ElasticMq, "no_message_is_kept_longer_than_twelve_hours_in_all", "it is", ELASTICMQ),
    differs(ElasticMq, "parameters_out_of_range_are_refused", "the code is InvalidAttributeValue", ELASTICMQ),
    differs(ElasticMq, "queues_are_listed_by_prefix_in_pages", "MaxResults is ignored", ELASTICMQ),
    differs(ElasticMq, "the_largest_size_of_the_queue_is_kept", "MaximumMessageSize is ignored", ELASTICMQ),
    differs(
        Moto,
        "a_change_needs_a_message_in_flight",
        "it succeeds; its authors could not provoke the error at AWS",
        "https://github.com/getmoto/moto/pull/4655",
    ),
    differs(Moto, "a_dead_letter_keeps_its_group", "DeadLetterQueueSourceArn is missing", MOTO),
    differs(
        Moto,
        "a_deduplication_id_counts_once_even_after_the_delete",
        "a duplicate is answered with an id of its own",
        MOTO,
    ),
    differs(
        Moto,
        "a_move_task_brings_messages_back_afresh",
        "no move tasks: HTTP 500",
        "https://github.com/getmoto/moto/pull/10265",
    ),
    differs(
        Moto,
        "a_move_task_needs_a_dead_letter_queue",
        "no move tasks: HTTP 500",
        "https://github.com/getmoto/moto/pull/10265",
    ),
    differs(Moto, "a_name_and_an_attribute_make_a_queue_fifo", "the name does not matter", MOTO),
    differs(Moto, "an_empty_body_is_refused", "it is accepted", MOTO),
    differs(Moto, "attributes_out_of_range_are_refused", "they are accepted", MOTO),
    differs(Moto, "characters_outside_the_allowed_set_are_refused", "they are accepted", MOTO),
    differs(
        Moto,
        "equal_bodies_count_once_where_content_deduplicates",
        "a duplicate is answered with an id of its own",
        MOTO,
    ),
    differs(Moto, "sequence_numbers_increase", "they are random", MOTO),
    differs(Moto, "unknown_attributes_are_refused", "they are accepted", MOTO),
    differs(Moto, "what_is_received_too_often_moves_and_tells_where_from", "DeadLetterQueueSourceArn is missing", MOTO),
    skipped(ElasticMq, "raw_delivery_brings_the_message_itself", "it has no topics", SNS),
    skipped(ElasticMq, "wrapped_delivery_brings_a_notification", "it has no topics", SNS),
    skipped(Embedded, "raw_delivery_brings_the_message_itself", "it has no topics", SNS),
];

/// The gap of `server` in `law`, if it is known.
pub(crate) fn gap(server: Server, law: &str) -> Option<&'static Gap> {
    GAPS.iter().find(|gap| gap.server == server && gap.law == law)
}

#[test]
fn every_gap_names_a_law_once() {
    for (n, gap) in GAPS.iter().enumerate() {
        assert!(crate::LAWS.contains(&gap.law), "there is no law {}", gap.law);
        assert!(
            !GAPS[..n].iter().any(|other| (other.server, other.law) == (gap.server, gap.law)),
            "{gap:?} stands twice"
        );
    }
}
