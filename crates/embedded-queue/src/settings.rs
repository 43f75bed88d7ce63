//! A queue's attributes that its owner sets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::error::Error;
use crate::message::Terms;

/// Attributes with a number, its default and the range SQS allows
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>).
const NUMBERS: [(&str, u64, u64, u64); 5] = [
    ("DelaySeconds", 0, 0, 900),
    ("MaximumMessageSize", 1_048_576, 1_024, 1_048_576),
    ("MessageRetentionPeriod", 345_600, 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 0, 20),
    ("VisibilityTimeout", 30, 0, VISIBILITY_TIMEOUT_S_MAX),
];

/// Attributes that are kept and shown, and change nothing here.
const KEPT: [&str; 4] = ["KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "Policy", "SqsManagedSseEnabled"];

/// Attributes of FIFO queues: the default, and the values there are
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html>). `FifoQueue`
/// says that it is one.
const FIFO: [(&str, &str, [&str; 2]); 3] = [
    ("ContentBasedDeduplication", "false", ["false", "true"]),
    ("DeduplicationScope", "queue", ["queue", PER_GROUP]),
    ("FifoThroughputLimit", "perQueue", ["perQueue", "perMessageGroupId"]),
];
const PER_GROUP: &str = "messageGroup";

/// Attributes that the queue computes; asked for by name, never set.
const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// Twelve hours: the longest a message stays invisible, counted from its receive
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>).
pub(crate) const VISIBILITY_TIMEOUT_S_MAX: u64 = 43_200;

/// Longest attribute that is kept as text: a policy has at most 20 KB at SQS.
const KEPT_BYTES_MAX: usize = 20 * 1024;

/// What the owner of a queue set, with defaults for the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// As set: text by attribute name.
    set: BTreeMap<String, String>,
    fifo: bool,
    pub(crate) redrive: Option<RedrivePolicy>,
    redrive_allow: Option<RedriveAllowPolicy>,
}

/// Whose dead-letter queue this queue may be.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedriveAllowPolicy {
    redrive_permission: RedrivePermission,
    #[serde(default)]
    source_queue_arns: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum RedrivePermission {
    AllowAll,
    DenyAll,
    ByQueue,
}

/// When a message leaves for which dead-letter queue.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RedrivePolicy {
    dead_letter_target_arn: String,
    /// AWS takes a number or a string.
    max_receive_count: serde_json::Value,
}

impl RedrivePolicy {
    /// The last part of the ARN: accounts and regions mean nothing here.
    pub(crate) fn target(&self) -> &str {
        self.dead_letter_target_arn.rsplit(':').next().unwrap_or_default()
    }

    /// Receives after which a message is moved instead of received again, 1 to 1000.
    pub(crate) fn receives_max(&self) -> Option<u64> {
        let count = match &self.max_receive_count {
            serde_json::Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        count.filter(|count| (1..=1000).contains(count))
    }
}

impl Settings {
    /// A new queue's.
    pub(crate) fn new(fifo: bool, attributes: BTreeMap<String, String>) -> Result<Self, Error> {
        let mut settings = Self { fifo, ..Self::default() };
        settings.set(attributes)?;
        Ok(settings)
    }

    /// Takes attributes over; all or none.
    pub(crate) fn set(&mut self, attributes: BTreeMap<String, String>) -> Result<(), Error> {
        let mut changed = self.clone();
        for (name, mut value) in attributes {
            let invalid = |reason: String| Error::InvalidAttributeValue(name.clone(), reason);
            if self.fifo && name == "FifoQueue" {
                if !value.eq_ignore_ascii_case("true") {
                    return Err(invalid("the kind of a queue cannot be changed".into()));
                }
                continue;
            } else if let Some((.., values)) = FIFO.iter().find(|(fifo, ..)| self.fifo && *fifo == name) {
                let Some(known) = values.iter().find(|known| known.eq_ignore_ascii_case(&value)) else {
                    return Err(invalid(format!("it is neither {} nor {}", values[0], values[1])));
                };
                value = (*known).to_owned();
            } else if let Some((_, _, min, max)) = NUMBERS.iter().find(|(number, ..)| *number == name) {
                let number: u64 = value.parse().map_err(|_| invalid("it is no whole number".into()))?;
                if !(*min..=*max).contains(&number) {
                    return Err(invalid(format!("it lies outside {min} to {max}")));
                }
            } else if name == "RedrivePolicy" {
                changed.redrive = None;
                if !value.is_empty() {
                    let policy: RedrivePolicy = serde_json::from_str(&value).map_err(|error| {
                        invalid(format!("it is no JSON of deadLetterTargetArn and maxReceiveCount: {error}"))
                    })?;
                    if policy.receives_max().is_none() {
                        return Err(invalid("maxReceiveCount lies outside 1 to 1000".into()));
                    }
                    changed.redrive = Some(policy);
                }
            } else if name == "RedriveAllowPolicy" {
                changed.redrive_allow = None;
                if !value.is_empty() {
                    let policy: RedriveAllowPolicy = serde_json::from_str(&value)
                        .map_err(|_| invalid("it is no JSON of redrivePermission and sourceQueueArns".into()))?;
                    let by_queue = policy.redrive_permission == RedrivePermission::ByQueue;
                    if by_queue == policy.source_queue_arns.is_empty() || policy.source_queue_arns.len() > 10 {
                        return Err(invalid("1 to 10 sourceQueueArns go with byQueue, and with nothing else".into()));
                    }
                    changed.redrive_allow = Some(policy);
                }
            } else if !KEPT.contains(&name.as_str()) {
                return Err(Error::InvalidAttributeName(name));
            } else if value.len() > KEPT_BYTES_MAX {
                return Err(invalid(format!("it is longer than {KEPT_BYTES_MAX} bytes")));
            }
            if value.is_empty() {
                changed.set.remove(&name);
            } else {
                changed.set.insert(name, value);
            }
        }
        if changed.text("FifoThroughputLimit") != FIFO[2].1 && !changed.deduplicates_per_group() {
            return Err(Error::InvalidAttributeValue(
                "FifoThroughputLimit".into(),
                format!("perMessageGroupId needs the DeduplicationScope {PER_GROUP}"),
            ));
        }
        *self = changed;
        Ok(())
    }

    /// The first of `attributes` whose value here is another one.
    pub(crate) fn difference(&self, attributes: &BTreeMap<String, String>) -> Option<String> {
        let shown = self.show();
        let is_same =
            |name: &String, value: &String| shown.get(name).is_some_and(|shown| shown.eq_ignore_ascii_case(value));
        attributes.iter().find(|(name, value)| !is_same(name, value)).map(|(name, _)| name.clone())
    }

    /// Every attribute that is set or has a default.
    pub(crate) fn show(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<_, _> =
            NUMBERS.iter().map(|(name, default, ..)| ((*name).to_owned(), default.to_string())).collect();
        if self.fifo {
            shown.insert("FifoQueue".into(), "true".into());
            shown.extend(FIFO.iter().map(|(name, default, _)| ((*name).to_owned(), (*default).to_owned())));
        }
        shown.extend(self.set.clone());
        shown
    }

    /// May `name` be asked for?
    pub(crate) fn is_known(name: &str) -> bool {
        name == "All"
            || matches!(name, "FifoQueue" | "RedrivePolicy" | "RedriveAllowPolicy")
            || FIFO.iter().any(|(fifo, ..)| *fifo == name)
            || NUMBERS.iter().any(|(number, ..)| *number == name)
            || KEPT.contains(&name)
            || COMPUTED.contains(&name)
    }

    /// May the queue of that name have this one as its dead-letter queue?
    pub(crate) fn allows_source(&self, name: &str) -> bool {
        self.redrive_allow.as_ref().is_none_or(|policy| match policy.redrive_permission {
            RedrivePermission::AllowAll => true,
            RedrivePermission::DenyAll => false,
            RedrivePermission::ByQueue => {
                policy.source_queue_arns.iter().any(|arn| arn.rsplit(':').next() == Some(name))
            }
        })
    }

    pub(crate) fn visibility_timeout(&self) -> Millis {
        self.number("VisibilityTimeout") * 1000
    }

    pub(crate) fn delay(&self) -> Millis {
        self.number("DelaySeconds") * 1000
    }

    pub(crate) fn wait_s(&self) -> u64 {
        self.number("ReceiveMessageWaitTimeSeconds")
    }

    pub(crate) fn retention(&self) -> Millis {
        self.number("MessageRetentionPeriod") * 1000
    }

    pub(crate) const fn fifo(&self) -> bool {
        self.fifo
    }

    pub(crate) fn deduplicates_per_group(&self) -> bool {
        self.text("DeduplicationScope") == PER_GROUP
    }

    /// What a message must keep to.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            message_bytes_max: self.number("MaximumMessageSize") as usize,
            delay: self.delay(),
            fifo: self.fifo,
            content_based: self.text("ContentBasedDeduplication") == "true",
        }
    }

    /// An attribute of FIFO queues, as set or by default.
    fn text(&self, name: &str) -> &str {
        let default = FIFO.iter().find(|(fifo, ..)| *fifo == name).map_or("", |(_, default, _)| default);
        self.set.get(name).map_or(default, String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        let default = NUMBERS.iter().find(|(number, ..)| *number == name).map_or(0, |(_, default, ..)| *default);
        self.set.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}
