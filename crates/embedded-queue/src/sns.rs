//! What SNS puts around a message on its way to a queue.

use std::fmt::Write as _;

/// A message as SNS delivers it without raw message delivery: the text that [`envelope`](Self::envelope) makes of it is
/// the body of an SQS message. With raw message delivery the body is the message itself.
///
/// ```
/// use afterimage_embedded_queue::SnsNotification;
///
/// let notification = SnsNotification { message: "{\"id\": 1}", ..SnsNotification::default() };
/// assert!(notification.envelope().contains(r#""Message" : "{\"id\": 1}""#));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SnsNotification<'a> {
    /// The ARN of the topic.
    pub topic_arn: &'a str,
    /// SNS's own id of the message, a UUID.
    pub message_id: &'a str,
    /// What was published.
    pub message: &'a str,
    /// When, in RFC 3339 with milliseconds and `Z`.
    pub timestamp: &'a str,
    /// Of FIFO topics: 20 digits. Their notifications carry no signature.
    pub sequence_number: Option<&'a str>,
}

impl Default for SnsNotification<'_> {
    /// An empty message of a standard topic in the embedded queue's region and account.
    fn default() -> Self {
        Self {
            topic_arn: "arn:aws:sns:us-east-1:000000000000:changes",
            message_id: "00000000-0000-4000-8000-000000000000",
            message: "",
            timestamp: "2026-01-01T00:00:00.000Z",
            sequence_number: None,
        }
    }
}

impl SnsNotification<'_> {
    /// The JSON, spaced and in the order of SNS
    /// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>). The signature has the length of a
    /// real one and signs nothing.
    #[must_use]
    pub fn envelope(&self) -> String {
        let mut text = String::with_capacity(self.message.len() + self.message.len() / 4 + 1024);
        let mut member = |name: &str, value: &str| {
            let before = if text.is_empty() { "{\n" } else { ",\n" };
            // A string writes without fail; a JSON value shows itself quoted.
            write!(text, "{before}  \"{name}\" : {}", serde_json::Value::from(value)).ok();
        };
        member("Type", "Notification");
        member("MessageId", self.message_id);
        if let Some(sequence_number) = self.sequence_number {
            member("SequenceNumber", sequence_number);
        }
        member("TopicArn", self.topic_arn);
        member("Message", self.message);
        member("Timestamp", self.timestamp);
        if self.sequence_number.is_none() {
            member("SignatureVersion", "1");
            member("Signature", &("EXAMPLEsignatureEXAMPLEsignature".repeat(10) + "=="));
            member("SigningCertURL", "https://sns.us-east-1.amazonaws.com/SimpleNotificationService.pem");
        }
        member("UnsubscribeURL", "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe");
        text.push_str("\n}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_json_that_holds_the_message_unharmed() {
        let message = "{\"name\": \"a \\\"quoted\\\" \u{1F600}\"}\n";
        let standard = SnsNotification { message, ..SnsNotification::default() };
        let fifo = SnsNotification { sequence_number: Some("10000000000000003000"), ..standard };
        for (notification, signed) in [(standard, true), (fifo, false)] {
            let envelope: serde_json::Value = serde_json::from_str(&notification.envelope()).unwrap();
            assert_eq!(envelope["Message"], message);
            assert_eq!(envelope["Type"], "Notification");
            assert_eq!(envelope.get("Signature").is_some(), signed);
            assert_eq!(envelope.get("SequenceNumber").is_some(), !signed);
        }
    }
}
