//! What a queue's access policy lets in.
//!
//! Reads as much of IAM's language as policies of queues use: wildcards in actions, services and everybody as principals,
//! conditions on where a call comes from. What it cannot tell it says.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>

use serde_json::Value;
use wildmatch::WildMatch;

/// The one action that lets messages in.
const SEND: &str = "sqs:sendmessage";
/// How SNS names itself.
const SNS: &str = "sns.amazonaws.com";

/// May a topic send to the queue?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement allows it.
    NotAllowed,
    /// It hangs on a condition that cannot be judged from outside.
    Unclear,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    Unknown,
}

/// A policy document.
pub(super) struct Policy {
    statements: Vec<Value>,
}

impl Policy {
    /// `None` when it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut document: Value = serde_json::from_str(text).ok()?;
        let statements = match document.get_mut("Statement")?.take() {
            Value::Array(statements) => statements,
            statement @ Value::Object(_) => vec![statement],
            _ => return None,
        };
        Some(Self { statements })
    }

    /// May this topic send to the queue that the policy belongs to?
    pub(super) fn topic_may_send(&self, topic_arn: &str) -> Verdict {
        let about = |statement: &&Value| covers_send(statement) && covers_sns(statement);
        let holding = |effect: &str, holds: Holds| {
            let is = |statement: &&Value| statement["Effect"] == effect;
            self.statements.iter().filter(about).filter(is).any(|statement| conditions(statement, topic_arn) == holds)
        };
        if holding("Deny", Holds::Yes) {
            Verdict::Denied
        } else if holding("Deny", Holds::Unknown) {
            Verdict::Unclear
        } else if holding("Allow", Holds::Yes) {
            Verdict::Allowed
        } else if holding("Allow", Holds::Unknown) {
            Verdict::Unclear
        } else {
            Verdict::NotAllowed
        }
    }

    /// May anybody at all send, whoever they are?
    pub(super) fn anybody_may_send(&self) -> bool {
        self.statements.iter().any(|statement| {
            let is_unconditional = statement.get("Condition").is_none_or(|condition| *condition == Value::Null);
            statement["Effect"] == "Allow" && covers_send(statement) && is_everybody(statement) && is_unconditional
        })
    }
}

fn covers_send(statement: &Value) -> bool {
    texts(&statement["Action"]).any(|action| WildMatch::new(&action.to_lowercase()).matches(SEND))
}

fn covers_sns(statement: &Value) -> bool {
    is_everybody(statement) || texts(&statement["Principal"]["Service"]).any(|service| service == SNS)
}

fn is_everybody(statement: &Value) -> bool {
    let principal = &statement["Principal"];
    *principal == "*" || texts(&principal["AWS"]).any(|name| name == "*")
}

/// All of a statement's conditions, for a message that the topic delivers.
fn conditions(statement: &Value, topic_arn: &str) -> Holds {
    let Some(operators) = statement.get("Condition").and_then(Value::as_object) else { return Holds::Yes };
    let mut outcome = Holds::Yes;
    for (operator, keys) in operators {
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            match condition(operator, key, wanted, topic_arn) {
                Holds::No => return Holds::No,
                Holds::Unknown => outcome = Holds::Unknown,
                Holds::Yes => {}
            }
        }
    }
    outcome
}

fn condition(operator: &str, key: &str, wanted: &Value, topic_arn: &str) -> Holds {
    let account = topic_arn.split(':').nth(4).unwrap_or_default();
    let actual = match key.to_lowercase().as_str() {
        "aws:sourcearn" => topic_arn,
        "aws:sourceaccount" => account,
        // SNS delivers over TLS.
        "aws:securetransport" => "true",
        _ => return Holds::Unknown,
    };
    let operator = operator.strip_suffix("IfExists").unwrap_or(operator);
    let is_match = match operator {
        "ArnEquals" | "ArnLike" | "StringLike" | "ArnNotEquals" | "ArnNotLike" | "StringNotLike" => {
            texts(wanted).any(|pattern| WildMatch::new(pattern).matches(actual))
        }
        "StringEquals" | "StringNotEquals" => texts(wanted).any(|text| text == actual),
        "Bool" => texts(wanted).any(|text| text == actual) || wanted.as_bool().is_some_and(|wanted| wanted),
        _ => return Holds::Unknown,
    };
    if is_match == operator.contains("Not") { Holds::No } else { Holds::Yes }
}

/// A text, or each text of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    value.as_str().into_iter().chain(list.iter().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:changes";

    fn verdict(statements: &str) -> Verdict {
        Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#)).unwrap().topic_may_send(TOPIC)
    }

    #[test]
    fn the_policy_of_the_sns_guide_lets_its_own_topic_in_and_no_other() {
        let policy = |topic: &str| {
            format!(
                r#"[{{"Effect":"Allow","Principal":{{"Service":"sns.amazonaws.com"}},"Action":"sqs:SendMessage",
                "Resource":"*","Condition":{{"ArnEquals":{{"aws:SourceArn":"{topic}"}}}}}}]"#
            )
        };
        assert_eq!(verdict(&policy(TOPIC)), Verdict::Allowed);
        assert_eq!(verdict(&policy("arn:aws:sns:eu-central-1:123456789012:other")), Verdict::NotAllowed);
        assert_eq!(verdict(&policy("arn:aws:sns:*:123456789012:cha*")), Verdict::Allowed);
    }

    #[test]
    fn a_statement_may_be_one_an_action_a_list_and_a_principal_everybody() {
        for statement in [
            r#"{"Effect":"Allow","Principal":"*","Action":["sqs:ReceiveMessage","SQS:*"]}"#,
            r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"SQS:SendMessage",
                "Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}}"#,
            r#"{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com","sns.amazonaws.com"]},"Action":"*"}"#,
        ] {
            assert_eq!(verdict(statement), Verdict::Allowed, "{statement}");
        }
    }

    #[test]
    fn what_does_not_let_a_topic_in_is_told_apart() {
        let allow = r#"{"Effect":"Allow","Principal":"*","Action":"sqs:*"}"#;
        for (statements, expected) in [
            ("[]".to_owned(), Verdict::NotAllowed),
            (r#"{"Effect":"Allow","Principal":"*","Action":"sqs:ReceiveMessage"}"#.to_owned(), Verdict::NotAllowed),
            (
                r#"{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sqs:SendMessage"}"#.to_owned(),
                Verdict::NotAllowed,
            ),
            (format!(r#"[{allow},{{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage"}}]"#), Verdict::Denied),
            (
                format!(
                    r#"[{allow},{{"Effect":"Deny","Principal":"*","Action":"sqs:*","Condition":{{"Bool":
                    {{"aws:SecureTransport":"false"}}}}}}]"#
                ),
                Verdict::Allowed,
            ),
            (
                format!(
                    r#"[{allow},{{"Effect":"Deny","Principal":"*","Action":"sqs:*","Condition":{{"ArnNotEquals":
                    {{"aws:SourceArn":"arn:aws:sns:eu-central-1:123456789012:other"}}}}}}]"#
                ),
                Verdict::Denied,
            ),
            (
                r#"{"Effect":"Allow","Principal":"*","Action":"sqs:*","Condition":{"IpAddress":{"aws:SourceIp":
                "10.0.0.0/8"}}}"#
                    .to_owned(),
                Verdict::Unclear,
            ),
        ] {
            assert_eq!(verdict(&statements), expected, "{statements}");
        }
    }

    #[test]
    fn a_queue_that_anybody_may_write_to_is_noticed() {
        let open = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage"}}"#;
        let narrow = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage",
            "Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*"}}}}"#;
        assert!(Policy::parse(open).unwrap().anybody_may_send());
        assert!(!Policy::parse(narrow).unwrap().anybody_may_send());
        assert!(Policy::parse("not a policy").is_none());
    }
}
