//! The queue and its dead-letter queue, as their attributes describe them, and what of it endangers the promise.

use std::collections::HashMap;
use std::time::Duration;

use afterimage_consumer::RETENTION_MAX;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::finding::Finding;
use super::policy::Policy;
use crate::config::show_duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A worker keeps what it holds through an outage of its store for so long; a queue should keep the rest.
const RETENTION_MIN: Duration = Duration::from_secs(12 * 3600);
/// A weekend, and a day to notice.
const RETENTION_WISE: Duration = Duration::from_secs(4 * 24 * 3600);
/// Each kill of a worker counts as a receive of what it held.
const RECEIVES_WISE: u32 = 5;
/// The key that AWS manages: its policy cannot be changed, so SNS can never use it
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html>).
pub(super) const AWS_MANAGED_KEY: &str = "alias/aws/sqs";

/// What a queue says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueFacts {
    pub(super) arn: String,
    is_fifo: bool,
    retention: Duration,
    redrive: Option<Redrive>,
    /// Who may name it as their dead-letter queue, where that is restricted.
    allow: Option<String>,
    message_bytes_max: u64,
    delay: Duration,
    pub(super) kms_key: Option<String>,
    is_encrypted: bool,
    pub(super) policy: Option<String>,
    visible: u64,
    in_flight: u64,
}

/// Where SQS itself puts a message that was received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Redrive {
    target_arn: String,
    receives_max: u32,
}

impl QueueFacts {
    /// Reads the attributes of `GetQueueAttributes`; `None` when the queue does not name itself.
    pub(crate) fn read(attributes: &HashMap<QueueAttributeName, String>) -> Option<Self> {
        let text = |name: QueueAttributeName| attributes.get(&name).filter(|text| !text.is_empty());
        let number = |name| text(name).and_then(|text| text.parse::<u64>().ok());
        let seconds = |name, default: Duration| number(name).map_or(default, Duration::from_secs);
        let arn = text(QueueAttributeName::QueueArn)?.clone();
        let kms_key = text(QueueAttributeName::KmsMasterKeyId).cloned();
        let is_sse = text(QueueAttributeName::SqsManagedSseEnabled).is_some_and(|text| text == "true");
        Some(Self {
            is_fifo: arn.ends_with(".fifo"),
            arn,
            retention: seconds(QueueAttributeName::MessageRetentionPeriod, 4 * DAY),
            redrive: text(QueueAttributeName::RedrivePolicy).and_then(|text| Redrive::read(text)),
            allow: text(QueueAttributeName::RedriveAllowPolicy).cloned(),
            message_bytes_max: number(QueueAttributeName::MaximumMessageSize).unwrap_or(1 << 20),
            delay: seconds(QueueAttributeName::DelaySeconds, Duration::ZERO),
            is_encrypted: is_sse || kms_key.is_some(),
            kms_key,
            policy: text(QueueAttributeName::Policy).cloned(),
            visible: number(QueueAttributeName::ApproximateNumberOfMessages).unwrap_or_default(),
            in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).unwrap_or_default(),
        })
    }

    /// What is to be said of the queue that a worker reads. `dlq` is its dead-letter queue: not configured, or not
    /// readable (the inner `None`), or known.
    pub(crate) fn judge(&self, dlq: Option<Option<&Self>>) -> Vec<Finding> {
        let kind = if self.is_fifo { "FIFO" } else { "standard" };
        let there = format!("{}: {kind}, {} waiting, {} in flight", self.arn, self.visible, self.in_flight);
        let mut findings = vec![Finding::ok("queue", there), self.judge_retention(), self.judge_redrive(dlq)];
        findings.extend(self.judge_safety("queue"));
        if self.delay > Duration::ZERO {
            let found = format!("every message waits {} before a worker may see it", show_duration(self.delay));
            findings.push(Finding::warning("queue delay", found, "set DelaySeconds to 0"));
        }
        findings
    }

    fn judge_retention(&self) -> Finding {
        let kept = format!("keeps a message for {}", spoken(self.retention));
        let change = format!("set MessageRetentionPeriod to {} (14 days)", RETENTION_MAX.as_secs());
        if self.retention < RETENTION_MIN {
            Finding::failure("queue retention", format!("{kept}: an outage longer than that loses changes"), change)
        } else if self.retention < RETENTION_WISE {
            let found = format!("{kept}: an outage that nobody notices over a weekend loses changes");
            Finding::warning("queue retention", found, change)
        } else {
            Finding::ok("queue retention", kept)
        }
    }

    fn judge_redrive(&self, dlq: Option<Option<&Self>>) -> Finding {
        let check = "queue redrive";
        let Some(redrive) = &self.redrive else {
            return if dlq.is_some() {
                Finding::warning(
                    check,
                    "no redrive policy: a message on which workers die comes back until it expires",
                    "set a RedrivePolicy to the queue of --dlq-url with maxReceiveCount 10",
                )
            } else {
                Finding::failure(
                    check,
                    "neither a redrive policy nor --dlq-url: what cannot be understood comes back until it expires, and \
                     is lost then",
                    "make a dead-letter queue, name it with --dlq-url, and set a RedrivePolicy to it",
                )
            };
        };
        let found = format!("to {} after {} receives", redrive.target_arn, redrive.receives_max);
        if let Some(Some(dlq)) = dlq
            && dlq.arn != redrive.target_arn
        {
            let found = format!("{found}, while --dlq-url is {}: dead letters lie in two places", dlq.arn);
            return Finding::warning(check, found, "let both name the same queue");
        }
        if redrive.receives_max < RECEIVES_WISE {
            let found = format!("{found}: so many restarts of a worker bury sound messages");
            return Finding::warning(check, found, format!("set maxReceiveCount to {RECEIVES_WISE} or more"));
        }
        Finding::ok(check, found)
    }

    /// What is to be said of this queue as the dead-letter queue of `source`.
    pub(crate) fn judge_as_dead_letters_of(&self, source: &Self) -> Vec<Finding> {
        let check = "dead letters";
        let mut findings = vec![if self.visible == 0 {
            Finding::ok(check, format!("{}: none waiting", self.arn))
        } else {
            let found = format!("{}: {} waiting", self.arn, self.visible);
            Finding::warning(check, found, "see what they are: afterimage dlq ls")
        }];
        if self.is_fifo != source.is_fifo {
            let kind = |is_fifo| if is_fifo { "FIFO" } else { "standard" };
            let found = format!("it is {}, the queue is {}", kind(self.is_fifo), kind(source.is_fifo));
            let change = format!("use a {} queue for dead letters", kind(source.is_fifo));
            findings.push(Finding::failure("dead letters kind", found, change));
        }
        findings.push(self.judge_retention_beside(source));
        if self.message_bytes_max < source.message_bytes_max {
            let found = format!(
                "takes messages of {} bytes, the queue of {}: a large one cannot be put aside",
                self.message_bytes_max, source.message_bytes_max
            );
            let change = format!("set its MaximumMessageSize to {}", source.message_bytes_max);
            findings.push(Finding::failure("dead letters size", found, change));
        }
        if let Some(redrive) = &self.redrive {
            let found =
                format!("has a redrive policy of its own, to {}: looking at letters moves them", redrive.target_arn);
            findings.push(Finding::warning("dead letters redrive", found, "remove its RedrivePolicy"));
        }
        if self.allow.as_deref().is_some_and(|allow| !may_redrive(allow, &source.arn)) {
            let found = "its RedriveAllowPolicy does not let the queue's redrive policy use it";
            let change = format!("allow {} in its RedriveAllowPolicy", source.arn);
            findings.push(Finding::failure("dead letters redrive", found, change));
        }
        findings.extend(self.judge_safety("dead letters"));
        findings
    }

    /// Letters that SQS moves on a standard queue keep the time at which they were first sent, and expire by it
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>).
    fn judge_retention_beside(&self, source: &Self) -> Finding {
        let check = "dead letters retention";
        let kept = format!("keeps a letter for {}", spoken(self.retention));
        let change = format!("set its MessageRetentionPeriod to {} (14 days)", RETENTION_MAX.as_secs());
        let clock_goes_on = source.redrive.is_some() && !source.is_fifo;
        if self.retention < source.retention {
            let found = format!("{kept}, less than the queue ({}): letters expire unseen", spoken(source.retention));
            Finding::failure(check, found, change)
        } else if clock_goes_on && self.retention == source.retention {
            let found = format!(
                "{kept}, as long as the queue: a letter that SQS moves late expires at once, since its age goes on counting"
            );
            let shorter = "let the queue keep messages for less than its dead letters (10 and 14 days, say)";
            Finding::warning(check, found, if self.retention < RETENTION_MAX { change } else { shorter.to_owned() })
        } else {
            Finding::ok(check, kept)
        }
    }

    fn judge_safety(&self, check: &'static str) -> Option<Finding> {
        let policy = self.policy.as_deref().and_then(Policy::parse);
        if policy.is_some_and(|policy| policy.anybody_may_send()) {
            let found = "anybody may send to it: who can reach it can make up changes";
            return Some(Finding::failure(
                check,
                found,
                "name principals or a condition on aws:SourceArn in its policy",
            ));
        }
        (!self.is_encrypted).then(|| {
            Finding::warning(check, "its messages are not encrypted at rest", "set SqsManagedSseEnabled, or a KMS key")
        })
    }
}

impl Redrive {
    fn read(text: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(text).ok()?;
        let receives = &policy["maxReceiveCount"];
        let receives_max = match receives {
            Value::String(text) => text.parse().ok()?,
            other => u32::try_from(other.as_u64()?).ok()?,
        };
        Some(Self { target_arn: policy["deadLetterTargetArn"].as_str()?.to_owned(), receives_max })
    }
}

/// `RedriveAllowPolicy`: allowAll, denyAll, or byQueue with a list.
fn may_redrive(policy: &str, source_arn: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return true };
    match policy["redrivePermission"].as_str() {
        Some("denyAll") => false,
        Some("byQueue") => {
            let named = policy["sourceQueueArns"].as_array().map(Vec::as_slice).unwrap_or_default();
            named.iter().any(|arn| arn == source_arn)
        }
        _ => true,
    }
}

fn spoken(duration: Duration) -> String {
    if duration >= 2 * DAY && duration.as_secs().is_multiple_of(DAY.as_secs()) {
        format!("{} days", duration.as_secs() / DAY.as_secs())
    } else if duration >= HOUR {
        let hours = duration.as_secs() / HOUR.as_secs();
        format!("{hours} hour{}", if hours == 1 { "" } else { "s" })
    } else {
        show_duration(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-central-1:123456789012:changes";
    const DEAD: &str = "arn:aws:sqs:eu-central-1:123456789012:changes-dead";

    fn facts(arn: &str, attributes: &[(QueueAttributeName, &str)]) -> QueueFacts {
        let mut all: HashMap<_, _> = attributes.iter().map(|(name, text)| (name.clone(), (*text).to_owned())).collect();
        all.insert(QueueAttributeName::QueueArn, arn.to_owned());
        all.entry(QueueAttributeName::SqsManagedSseEnabled).or_insert_with(|| "true".to_owned());
        QueueFacts::read(&all).unwrap()
    }

    fn redrive(target: &str, receives: u32) -> String {
        format!(r#"{{"deadLetterTargetArn":"{target}","maxReceiveCount":{receives}}}"#)
    }

    /// The worst of what is said about a check.
    fn level(findings: &[Finding], check: &str) -> Level {
        findings.iter().filter(|finding| finding.check == check).map(|finding| finding.level).max().unwrap()
    }

    #[test]
    fn a_pair_as_the_guide_sets_it_up_has_nothing_to_change() {
        let policy = redrive(DEAD, 10);
        let queue = facts(
            ARN,
            &[(QueueAttributeName::RedrivePolicy, &policy), (QueueAttributeName::MessageRetentionPeriod, "864000")],
        );
        let dead = facts(DEAD, &[(QueueAttributeName::MessageRetentionPeriod, "1209600")]);
        let mut findings = queue.judge(Some(Some(&dead)));
        findings.extend(dead.judge_as_dead_letters_of(&queue));
        assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:#?}");
    }

    #[test]
    fn a_queue_that_forgets_too_early_is_named() {
        for (seconds, expected) in [("3600", Level::Failure), ("86400", Level::Warning), ("345600", Level::Ok)] {
            let queue = facts(ARN, &[(QueueAttributeName::MessageRetentionPeriod, seconds)]);
            assert_eq!(level(&queue.judge(None), "queue retention"), expected, "{seconds}");
        }
    }

    #[test]
    fn where_poison_goes_is_judged_with_and_without_a_redrive_policy() {
        let bare = facts(ARN, &[]);
        let dead = facts(DEAD, &[]);
        assert_eq!(level(&bare.judge(None), "queue redrive"), Level::Failure);
        assert_eq!(level(&bare.judge(Some(Some(&dead))), "queue redrive"), Level::Warning);
        for (target, receives, expected) in [(DEAD, 5, Level::Ok), (DEAD, 4, Level::Warning), (ARN, 9, Level::Warning)]
        {
            let policy = redrive(target, receives);
            let queue = facts(ARN, &[(QueueAttributeName::RedrivePolicy, &policy)]);
            assert_eq!(level(&queue.judge(Some(Some(&dead))), "queue redrive"), expected, "{target} {receives}");
        }
        let text = r#"{"deadLetterTargetArn":"arn:x","maxReceiveCount":"7"}"#;
        assert_eq!(Redrive::read(text), Some(Redrive { target_arn: "arn:x".to_owned(), receives_max: 7 }));
    }

    #[test]
    fn letters_must_outlive_what_they_are_letters_of() {
        let policy = redrive(DEAD, 10);
        let standard = facts(ARN, &[(QueueAttributeName::RedrivePolicy, &policy)]);
        let fifo = facts(&format!("{ARN}.fifo"), &[(QueueAttributeName::RedrivePolicy, &policy)]);
        let dead = |arn: &str, seconds| facts(arn, &[(QueueAttributeName::MessageRetentionPeriod, seconds)]);
        let check = "dead letters retention";
        assert_eq!(level(&dead(DEAD, "345599").judge_as_dead_letters_of(&standard), check), Level::Failure);
        assert_eq!(level(&dead(DEAD, "345600").judge_as_dead_letters_of(&standard), check), Level::Warning);
        assert_eq!(level(&dead(DEAD, "345601").judge_as_dead_letters_of(&standard), check), Level::Ok);
        let dead_fifo = dead(&format!("{DEAD}.fifo"), "345600");
        assert_eq!(level(&dead_fifo.judge_as_dead_letters_of(&fifo), check), Level::Ok);
    }

    #[test]
    fn dead_letter_queues_that_will_not_take_a_letter_are_named() {
        let queue = facts(ARN, &[]);
        let of = |attributes: &[_]| facts(DEAD, attributes).judge_as_dead_letters_of(&queue);
        let small = of(&[(QueueAttributeName::MaximumMessageSize, "262144")]);
        assert_eq!(level(&small, "dead letters size"), Level::Failure);
        let closed = of(&[(QueueAttributeName::RedriveAllowPolicy, r#"{"redrivePermission":"denyAll"}"#)]);
        assert_eq!(level(&closed, "dead letters redrive"), Level::Failure);
        let named = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{ARN}"]}}"#);
        let open = of(&[(QueueAttributeName::RedriveAllowPolicy, &named)]);
        assert!(open.iter().all(|finding| finding.check != "dead letters redrive"));
        let fifo = facts(&format!("{DEAD}.fifo"), &[]).judge_as_dead_letters_of(&queue);
        assert_eq!(level(&fifo, "dead letters kind"), Level::Failure);
        assert_eq!(
            level(&of(&[(QueueAttributeName::ApproximateNumberOfMessages, "3")]), "dead letters"),
            Level::Warning
        );
    }

    #[test]
    fn a_queue_open_to_everybody_is_a_failure_and_one_in_clear_a_warning() {
        let open = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*"}]}"#;
        let queue = facts(ARN, &[(QueueAttributeName::Policy, open)]);
        assert_eq!(level(&queue.judge(None), "queue"), Level::Failure);
        let clear = facts(ARN, &[(QueueAttributeName::SqsManagedSseEnabled, "false")]);
        assert_eq!(level(&clear.judge(None), "queue"), Level::Warning);
        let keyed = [
            (QueueAttributeName::SqsManagedSseEnabled, "false"),
            (QueueAttributeName::KmsMasterKeyId, "alias/changes"),
        ];
        assert_eq!(level(&facts(ARN, &keyed).judge(None), "queue"), Level::Ok);
    }
}
