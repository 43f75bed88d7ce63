//! What a tool for dead letters asks of SQS, beyond what a worker does.

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry};
use tokio_util::sync::CancellationToken;

use super::{SqsQueue, bad_request, by_position, explain, parsed, sent_attributes};
use crate::dead_letters::{Letter, QueueFacts, Resend};
use crate::queue::{Ask, ItemError, Queue, QueueError, QueueKind};

impl SqsQueue {
    /// Leases up to ten letters out, as [`Queue::receive`] does messages.
    pub(crate) async fn receive_letters(&self, ask: Ask) -> Result<Vec<Letter>, QueueError> {
        let source = MessageSystemAttributeName::DeadLetterQueueSourceArn;
        let names: Vec<_> = self.system_attributes().iter().cloned().chain([source.clone()]).collect();
        let mut received = self.received(ask, &names, &CancellationToken::new()).await?;
        let letters = received.messages.into_iter().filter_map(|mut message| {
            let source_arn = message.attributes.as_mut().and_then(|attributes| attributes.remove(&source));
            let mut message = parsed(message)?;
            message.permit = received.permit.as_mut().map(|permit| permit.split(message.weight_bytes()));
            Some(Letter { message, source_arn })
        });
        Ok(letters.collect())
    }

    /// Sends letters to this queue, at most ten, as messages.
    pub(crate) async fn resend(&self, letters: &[Resend<'_>]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        let queue_url = &self.settings.queue_url;
        let is_fifo = self.kind == QueueKind::Fifo;
        let entries = letters
            .iter()
            .enumerate()
            .map(|(position, resend)| {
                SendMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .message_body(&resend.letter().message.body)
                    .set_message_attributes(Some(sent_attributes(resend.attributes())?))
                    .set_message_group_id(is_fifo.then(|| resend.group_id()))
                    .set_message_deduplication_id(is_fifo.then(|| resend.deduplication_id()))
                    .build()
            })
            .collect::<Result<_, _>>()
            .map_err(|error| bad_request(&error))?;
        let request = self.sending.send_message_batch().queue_url(queue_url);
        let output = request.set_entries(Some(entries)).send().await.map_err(|error| explain(&error))?;
        Ok(by_position(letters.len(), output.successful.iter().map(|entry| entry.id()), &output.failed))
    }

    /// What the queue holds, and whether it passes letters on.
    pub(crate) async fn facts(&self) -> Result<QueueFacts, QueueError> {
        let counts = self.counts().await?;
        let request = self.deleting.get_queue_attributes().queue_url(&self.settings.queue_url);
        let output =
            request.attribute_names(QueueAttributeName::RedrivePolicy).send().await.map_err(|error| explain(&error))?;
        let policy = output.attributes.and_then(|mut found| found.remove(&QueueAttributeName::RedrivePolicy));
        Ok(QueueFacts { counts, receives_max: policy.as_deref().and_then(receives_max) })
    }
}

/// `maxReceiveCount` of a redrive policy, which comes as a number or as text
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>).
fn receives_max(policy: &str) -> Option<u32> {
    let count = afterimage_json::Raw::parse(policy).ok()?.get("maxReceiveCount")?;
    match count.string() {
        Some(text) => text.parse().ok(),
        None => count.number()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_says_its_count_as_a_number_or_as_text() {
        assert_eq!(receives_max(r#"{"deadLetterTargetArn":"a","maxReceiveCount":5}"#), Some(5));
        assert_eq!(receives_max(r#"{"maxReceiveCount":"12"}"#), Some(12));
        assert_eq!(receives_max(""), None);
    }
}
