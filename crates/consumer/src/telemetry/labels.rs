//! The values that labels take: few, and known beforehand.

use afterimage_event::Problem;

/// What becomes of messages.
pub(super) const MESSAGE_OUTCOMES: [&str; 3] = ["deleted", "released", "lease_lost"];
/// What becomes of events.
pub(super) const EVENT_OUTCOMES: [&str; 5] = ["stored", "unchanged", "expired", "rejected", "abandoned"];
/// What receives bring.
pub(super) const RECEIVE_OUTCOMES: [&str; 3] = ["messages", "empty", "error"];
/// What leases are lost to by this worker's own doing, or by that of another; the rest comes from the queue.
pub(super) const OWN_LOSSES: [&str; 3] = ["HeldTooLong", "LeaseExpired", "Redelivered"];

/// The label of everything that is not listed.
pub(super) const OTHER: &str = "other";

/// Codes that appear as labels as they are; everything else is `other`, so that no server can make labels up.
pub(super) const CODES: [&str; 20] = [
    "AccessDenied",
    "AccessDeniedException",
    "BatchRequestTooLong",
    "HeldTooLong",
    "InternalError",
    "InternalFailure",
    "InvalidParameterValue",
    "LeaseExpired",
    "Lost",
    "MessageNotInflight",
    "NonExistentQueue",
    "OverLimit",
    "QueueDoesNotExist",
    "ReceiptHandleIsInvalid",
    "Redelivered",
    "RequestThrottled",
    "ServiceUnavailable",
    "Timeout",
    "Unanswered",
    "Unreachable",
];

/// Operations of which single items are tried again.
pub(super) const RETRIED: [&str; 3] = ["delete", "extend", "dead_letter"];

/// Why a message cannot be stored, beside what decoding finds.
pub(super) const LATER_REASONS: [&str; 3] = ["bad_image", "internal_error", "store_refused"];

/// Every reason why a message cannot be stored.
pub(super) fn reasons() -> impl Iterator<Item = &'static str> {
    Problem::CODES.into_iter().chain(LATER_REASONS).chain([OTHER])
}

/// The label of a reason.
pub(super) fn reason(code: &str) -> &'static str {
    reasons().find(|known| *known == code).unwrap_or(OTHER)
}

/// The label of a queue's code.
pub(super) fn code(code: &str) -> &'static str {
    // ElasticMQ and older SQS endpoints prefix their codes.
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    CODES.into_iter().find(|known| *known == code).unwrap_or(OTHER)
}
