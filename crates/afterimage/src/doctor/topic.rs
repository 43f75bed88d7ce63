//! A topic's subscription, and whether what is published there reaches the queue.

use std::collections::HashMap;

use serde_json::Value;

use super::finding::Finding;
use super::policy::{Policy, Verdict};
use super::queue::{AWS_MANAGED_KEY, QueueFacts};

/// What SNS answers in place of a subscription's ARN until its endpoint has confirmed it.
const PENDING: &str = "PendingConfirmation";

/// How a topic delivers to the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    /// It does not.
    Missing,
    /// It waits to be confirmed.
    Pending,
    /// It does; with the attributes of `GetSubscriptionAttributes`.
    There(HashMap<String, String>),
}

impl Subscription {
    /// Is that what an ARN in a list of subscriptions stands for?
    pub(super) fn is_pending(arn: &str) -> bool {
        arn == PENDING
    }

    /// What is to be said of it. `queue` where it could be read; `is_narrowed`: the worker believes only certain topics.
    pub(super) fn judge(&self, topic_arn: &str, queue: Option<&QueueFacts>, is_narrowed: bool) -> Vec<Finding> {
        let check = "topic";
        let attributes = match self {
            Self::Missing => {
                let name = queue.map_or("the queue", |queue| &queue.arn);
                let found = format!("{topic_arn} does not deliver to {name}");
                return vec![Finding::failure(check, found, "subscribe the queue to the topic, protocol sqs")];
            }
            Self::Pending => {
                let found = format!("the subscription to {topic_arn} is not confirmed: nothing is delivered");
                let change =
                    "subscribe with an identity of the queue's own account, or confirm with the URL in the message";
                return vec![Finding::failure(check, found, change)];
            }
            Self::There(attributes) => attributes,
        };
        let is = |name: &str| attributes.get(name).is_some_and(|text| text == "true");
        let has = |name: &str| {
            let text = attributes.get(name).map(String::as_str).unwrap_or_default();
            !text.is_empty()
                && serde_json::from_str::<Value>(text).is_ok_and(|value| value != Value::Object(Default::default()))
        };
        let is_raw = is("RawMessageDelivery");
        let shape = if is_raw { "raw" } else { "wrapped; raw delivery is a third smaller and cheaper to read" };
        let mut findings = vec![Finding::ok(check, format!("{topic_arn} delivers to the queue, {shape}"))];
        if is_raw && is_narrowed {
            findings.push(Finding::failure(
                check,
                "delivery is raw, so messages do not name their topic, and --allow-topic refuses them all",
                "turn RawMessageDelivery off, or drop --allow-topic and let the queue's policy decide who may send",
            ));
        }
        if has("FilterPolicy") {
            let found =
                "the subscription has a filter policy: changes that do not match never arrive, and nobody is told";
            findings.push(Finding::warning(check, found, "make sure that every change event matches it"));
        }
        if !has("RedrivePolicy") {
            let found = "what SNS cannot deliver is lost: the subscription has no dead-letter queue";
            findings.push(Finding::warning(check, found, "set a RedrivePolicy on the subscription"));
        }
        let Some(queue) = queue else {
            let found = format!("not looked at whether {topic_arn} may send: the queue cannot be read");
            findings.push(Finding::warning("queue policy", found, "see what is said of the queue, then ask again"));
            return findings;
        };
        if topic_arn.ends_with(".fifo") && !queue.arn.ends_with(".fifo") {
            let found = "the topic is FIFO, the queue is not: the order of changes is lost on the way";
            findings.push(Finding::warning(check, found, "deliver to a FIFO queue, or let producers send `seq`"));
        }
        if queue.kms_key.as_deref() == Some(AWS_MANAGED_KEY) {
            let found =
                format!("the queue is encrypted with {AWS_MANAGED_KEY}, which SNS may not use: deliveries fail");
            let change = "use SqsManagedSseEnabled, or a key of your own that lets sns.amazonaws.com use it";
            findings.push(Finding::failure(check, found, change));
        }
        findings.push(judge_policy(topic_arn, queue));
        findings
    }
}

fn judge_policy(topic_arn: &str, queue: &QueueFacts) -> Finding {
    let check = "queue policy";
    let policy = queue.policy.as_deref().and_then(Policy::parse);
    let change = format!(
        "allow sqs:SendMessage to the service sns.amazonaws.com under the condition ArnEquals aws:SourceArn {topic_arn}"
    );
    match policy.map_or(Verdict::NotAllowed, |policy| policy.topic_may_send(topic_arn)) {
        Verdict::Allowed => Finding::ok(check, format!("lets {topic_arn} send")),
        Verdict::Denied => {
            Finding::failure(check, format!("a statement denies {topic_arn} to send: deliveries fail"), change)
        }
        Verdict::NotAllowed => {
            Finding::failure(check, format!("does not let {topic_arn} send: deliveries fail"), change)
        }
        Verdict::Unclear => {
            let found = format!("whether {topic_arn} may send hangs on conditions that cannot be judged from here");
            Finding::warning(check, found, change)
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::QueueAttributeName;

    use super::super::finding::Level;
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:changes";

    fn queue(kms_key: &str) -> QueueFacts {
        let policy = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"Service":"sns.amazonaws.com"}},"Action":"sqs:SendMessage",
            "Condition":{{"ArnEquals":{{"aws:SourceArn":"{TOPIC}"}}}}}}]}}"#
        );
        let attributes = [
            (QueueAttributeName::QueueArn, "arn:aws:sqs:eu-central-1:123456789012:changes".to_owned()),
            (QueueAttributeName::Policy, policy),
            (QueueAttributeName::KmsMasterKeyId, kms_key.to_owned()),
        ];
        QueueFacts::read(&attributes.into()).unwrap()
    }

    fn there(attributes: &[(&str, &str)]) -> Subscription {
        let both = [("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:x"}"#)].iter().chain(attributes);
        Subscription::There(both.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    fn worst(findings: &[Finding]) -> Level {
        findings.iter().map(|finding| finding.level).max().unwrap()
    }

    #[test]
    fn a_confirmed_subscription_that_the_policy_lets_in_is_fine_wrapped_or_raw() {
        for raw in ["true", "false"] {
            let findings = there(&[("RawMessageDelivery", raw)]).judge(TOPIC, Some(&queue("")), false);
            assert_eq!(worst(&findings), Level::Ok, "{findings:#?}");
        }
    }

    #[test]
    fn everything_that_keeps_a_change_from_the_queue_is_a_failure() {
        let raw = there(&[("RawMessageDelivery", "true")]);
        let other = "arn:aws:sns:eu-central-1:123456789012:other";
        for (what, findings) in [
            ("missing", Subscription::Missing.judge(TOPIC, Some(&queue("")), false)),
            ("pending", Subscription::Pending.judge(TOPIC, Some(&queue("")), false)),
            ("raw, and only some topics believed", raw.judge(TOPIC, Some(&queue("")), true)),
            ("a key that SNS may not use", raw.judge(TOPIC, Some(&queue(AWS_MANAGED_KEY)), false)),
            ("a policy for another topic", raw.judge(other, Some(&queue("")), false)),
        ] {
            assert_eq!(worst(&findings), Level::Failure, "{what}");
        }
    }

    #[test]
    fn a_queue_that_cannot_be_read_hides_no_failure_of_the_subscription() {
        for (what, findings) in [
            ("missing", Subscription::Missing.judge(TOPIC, None, false)),
            ("pending", Subscription::Pending.judge(TOPIC, None, false)),
            ("raw", there(&[("RawMessageDelivery", "true")]).judge(TOPIC, None, true)),
        ] {
            assert_eq!(worst(&findings), Level::Failure, "{what}");
        }
        let fine = there(&[]).judge(TOPIC, None, false);
        assert_eq!(worst(&fine), Level::Warning, "nobody looked whether the topic may send: {fine:#?}");
    }

    #[test]
    fn what_may_lose_changes_silently_is_a_warning() {
        for attributes in [&[("FilterPolicy", r#"{"kind":["a"]}"#)], &[("RedrivePolicy", "")]] {
            assert_eq!(
                worst(&there(attributes).judge(TOPIC, Some(&queue("")), false)),
                Level::Warning,
                "{attributes:?}"
            );
        }
    }
}
