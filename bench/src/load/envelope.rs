//! What is around an event on its way.

use std::fmt::Write as _;

/// How an event is wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// Not at all: raw message delivery.
    #[default]
    Bare,
    /// In an SNS notification.
    Sns,
}

impl Envelope {
    pub(super) fn wrap(self, body: String, seed: u64, n: u64) -> String {
        match self {
            Self::Bare => body,
            Self::Sns => notification(&body, seed, n),
        }
    }
}

/// A notification as SNS delivers it
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>).
fn notification(body: &str, seed: u64, n: u64) -> String {
    let mut text = String::with_capacity(body.len() + body.len() / 4 + 1024);
    text.push_str("{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : \"");
    // A string writes without fail.
    write!(text, "{:08x}-0000-4000-8000-{n:012x}", seed as u32).ok();
    text.push_str("\",\n  \"TopicArn\" : \"arn:aws:sns:us-east-1:000000000000:changes\",\n  \"Message\" : ");
    text.push_str(&serde_json::Value::from(body).to_string());
    text.push_str(
        ",\n  \"Timestamp\" : \"2026-01-01T00:00:00.000Z\",\n  \"SignatureVersion\" : \"1\",\n  \"Signature\" : \"",
    );
    text.push_str(&"EXAMPLEsignatureEXAMPLEsignature".repeat(10));
    text.push_str(
        "==\",\n  \"SigningCertURL\" : \"https://sns.us-east-1.amazonaws.com/SimpleNotificationService.pem\",\n",
    );
    text.push_str("  \"UnsubscribeURL\" : \"https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe\"\n}");
    text
}
