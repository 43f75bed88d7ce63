//! A queue's attributes that its owner sets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::error::Error;

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
const KEPT: [&str; 5] =
    ["KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "Policy", "RedriveAllowPolicy", "SqsManagedSseEnabled"];

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
    pub(crate) redrive: Option<RedrivePolicy>,
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
    /// Takes attributes over; all or none.
    pub(crate) fn set(&mut self, attributes: BTreeMap<String, String>) -> Result<(), Error> {
        let mut changed = self.clone();
        for (name, value) in attributes {
            let invalid = |reason: String| Error::InvalidAttributeValue(name.clone(), reason);
            if let Some((_, _, min, max)) = NUMBERS.iter().find(|(number, ..)| *number == name) {
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
        *self = changed;
        Ok(())
    }

    /// The first of `attributes` whose value here is another one.
    pub(crate) fn difference(&self, attributes: &BTreeMap<String, String>) -> Option<String> {
        let shown = self.show();
        attributes.iter().find(|(name, value)| shown.get(*name) != Some(*value)).map(|(name, _)| name.clone())
    }

    /// Every attribute that is set or has a default.
    pub(crate) fn show(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<_, _> =
            NUMBERS.iter().map(|(name, default, ..)| ((*name).to_owned(), default.to_string())).collect();
        shown.extend(self.set.clone());
        shown
    }

    /// May `name` be asked for?
    pub(crate) fn is_known(name: &str) -> bool {
        name == "All"
            || name == "RedrivePolicy"
            || NUMBERS.iter().any(|(number, ..)| *number == name)
            || KEPT.contains(&name)
            || COMPUTED.contains(&name)
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

    pub(crate) fn message_bytes_max(&self) -> usize {
        self.number("MaximumMessageSize") as usize
    }

    fn number(&self, name: &str) -> u64 {
        let default = NUMBERS.iter().find(|(number, ..)| *number == name).map_or(0, |(_, default, ..)| *default);
        self.set.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}
