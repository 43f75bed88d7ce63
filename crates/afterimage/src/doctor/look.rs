//! Reads from AWS what the judgements need.

use std::time::Duration;

use afterimage_consumer::{QueueError, QueueErrorKind, explain};
use aws_config::SdkConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use super::clock::ClockReader;
use super::finding::Finding;
use super::queue::QueueFacts;
use super::topic::Subscription;
use crate::aws::Aws;

/// For each attempt of a call: somebody waits for the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A handle that no queue gave out.
const NO_HANDLE: &str = "afterimage-doctor";
/// A text that SQS refuses (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>:
/// U+0000 is not among the characters allowed), so that a send shows a permission and leaves no message.
const NO_MESSAGE: &str = "afterimage doctor\u{0}";

/// Asks AWS about one deployment.
pub(crate) struct Looker {
    sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
    clock: ClockReader,
}

impl Looker {
    pub(crate) fn new(aws: &Aws) -> Self {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(ANSWER_TIMEOUT).operation_attempt_timeout(ANSWER_TIMEOUT);
        let shared: SdkConfig = aws.shared().to_builder().timeout_config(timeouts.build()).build();
        let clock = ClockReader::default();
        Self {
            sqs: aws_sdk_sqs::Client::from_conf(aws.sqs_with(&shared).interceptor(clock.clone()).build()),
            sns: aws_sdk_sns::Client::from_conf(aws.sns_with(&shared).build()),
            clock,
        }
    }

    /// Everything that is to be said of the queue and its dead letters, from their attributes alone.
    pub(crate) async fn queues(
        &self,
        queue_url: &str,
        dlq_url: Option<&str>,
    ) -> (Vec<Finding>, Result<QueueFacts, QueueError>) {
        let queue = self.facts(queue_url).await;
        let dlq = match dlq_url {
            Some(url) => Some(self.facts(url).await),
            None => None,
        };
        let mut findings = Vec::new();
        match &queue {
            Ok(queue) => findings.extend(queue.judge(dlq.as_ref().map(|dlq| dlq.as_ref().ok()))),
            Err(error) => findings.push(unreadable("queue", error)),
        }
        match (&dlq, &queue) {
            (Some(Ok(dlq)), Ok(queue)) => findings.extend(dlq.judge_as_dead_letters_of(queue)),
            (Some(Err(error)), _) => findings.push(unreadable("dead letters", error)),
            _ => {}
        }
        (findings, queue)
    }

    /// Whether this clock agrees with the queue's; nothing where no answer came.
    pub(crate) fn clock(&self) -> Option<Finding> {
        self.clock.judge()
    }

    /// May this identity do what a worker does? Nothing is left behind: the receive gives back at once what it gets
    /// (which counts as one receive of it), the other calls name messages that do not exist.
    pub(crate) async fn permissions(&self, queue_url: &str, dlq_url: Option<&str>) -> Vec<Finding> {
        let check = "permissions";
        let receive = self.sqs.receive_message().queue_url(queue_url).max_number_of_messages(1).visibility_timeout(0);
        let mut findings = Vec::from_iter(denied("sqs:ReceiveMessage", receive.wait_time_seconds(0).send().await));
        let entry = DeleteMessageBatchRequestEntry::builder().id("0").receipt_handle(NO_HANDLE).build();
        let delete =
            self.sqs.delete_message_batch().queue_url(queue_url).set_entries(entry.ok().map(|entry| vec![entry]));
        findings.extend(denied("sqs:DeleteMessage", delete.send().await));
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id("0")
            .receipt_handle(NO_HANDLE)
            .visibility_timeout(0)
            .build();
        let change = self.sqs.change_message_visibility_batch().queue_url(queue_url);
        let change = change.set_entries(entry.ok().map(|entry| vec![entry]));
        findings.extend(denied("sqs:ChangeMessageVisibility", change.send().await));
        let mut may = "receive, delete, and change visibility";
        if let Some(dlq_url) = dlq_url {
            let is_fifo = dlq_url.ends_with(".fifo");
            let entry = SendMessageBatchRequestEntry::builder()
                .id("0")
                .message_body(NO_MESSAGE)
                .set_message_group_id(is_fifo.then(|| NO_HANDLE.to_owned()))
                .set_message_deduplication_id(is_fifo.then(|| NO_HANDLE.to_owned()))
                .build();
            let send =
                self.sqs.send_message_batch().queue_url(dlq_url).set_entries(entry.ok().map(|entry| vec![entry]));
            let sent = send.send().await;
            // That a queue is not there is said already, and no permission would help.
            if !sent.as_ref().is_err_and(|error| is_missing(&explain(error))) {
                may = "receive, delete, change visibility, and send dead letters";
                findings.extend(denied("sqs:SendMessage on the dead-letter queue", sent));
            }
        }
        if findings.is_empty() {
            findings.push(Finding::ok(check, format!("this identity may {may}")));
        }
        findings
    }

    /// Does what is published to this topic reach the queue? A queue that could not be read is known by its URL.
    pub(crate) async fn topic(
        &self,
        topic_arn: &str,
        queue_url: &str,
        queue: Option<&QueueFacts>,
        is_narrowed: bool,
    ) -> Vec<Finding> {
        match self.subscription(topic_arn, queue_url, queue).await {
            Ok(subscription) => subscription.judge(topic_arn, queue, is_narrowed),
            Err(error) => {
                let finding = unreadable("topic", &error);
                vec![Finding { found: format!("{topic_arn}: {}", finding.found), ..finding }]
            }
        }
    }

    async fn subscription(
        &self,
        topic_arn: &str,
        queue_url: &str,
        queue: Option<&QueueFacts>,
    ) -> Result<Subscription, QueueError> {
        let is_ours = |endpoint: &str| queue.map_or_else(|| is_named_by(queue_url, endpoint), |it| it.arn == endpoint);
        let mut pages = self.sns.list_subscriptions_by_topic().topic_arn(topic_arn).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| explain(&error))?;
            let ours = page.subscriptions().iter().find(|subscription| subscription.endpoint().is_some_and(is_ours));
            let Some(arn) = ours.and_then(|subscription| subscription.subscription_arn()) else { continue };
            if Subscription::is_pending(arn) {
                return Ok(Subscription::Pending);
            }
            let asked = self.sns.get_subscription_attributes().subscription_arn(arn).send().await;
            let attributes = asked.map_err(|error| explain(&error))?.attributes.unwrap_or_default();
            return Ok(Subscription::There(attributes));
        }
        Ok(Subscription::Missing)
    }

    async fn facts(&self, url: &str) -> Result<QueueFacts, QueueError> {
        let asked =
            self.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await;
        let attributes = asked.map_err(|error| explain(&error))?.attributes.unwrap_or_default();
        QueueFacts::read(&attributes).ok_or_else(|| QueueError {
            kind: QueueErrorKind::Unavailable,
            code: "BadAnswer".to_owned(),
            reason: "the answer does not name the queue".to_owned(),
        })
    }
}

/// Is this the ARN of the queue with that URL? Account and name end both; the region is no part of every URL.
fn is_named_by(queue_url: &str, arn: &str) -> bool {
    let mut of_url = queue_url.rsplit('/');
    let mut of_arn = arn.rsplit(':');
    (of_url.next(), of_url.next()) == (of_arn.next(), of_arn.next())
}

fn is_missing(error: &QueueError) -> bool {
    matches!(error.code.as_str(), "QueueDoesNotExist" | "NonExistentQueue")
}

fn unreadable(check: &'static str, error: &QueueError) -> Finding {
    // Says nothing of what it was asked about.
    if error.code.contains("Throttl") {
        let change = "run the doctor again: others call so often that SQS or SNS refuses";
        return Finding::warning(check, format!("not looked at: {error}"), change);
    }
    let change = match error.code.as_str() {
        _ if is_missing(error) => "correct the URL, region and account, or make the queue",
        "NotFound" | "NotFoundException" => "correct the ARN of the topic",
        code if error.is_denied() || code == "AuthorizationError" || code == "AuthorizationErrorException" => {
            "allow this identity to read it: sqs:GetQueueAttributes, sns:ListSubscriptionsByTopic, \
             sns:GetSubscriptionAttributes"
        }
        "NoCredentials" => "see where the AWS SDK looks for credentials",
        _ if error.kind == QueueErrorKind::Misconfigured => "correct region, endpoint and credentials",
        _ => "check the endpoint and the network between",
    };
    Finding::failure(check, error.to_string(), change)
}

/// A failure, if the call was refused for want of a permission. Any other answer shows that it is there.
fn denied<T, E>(action: &str, answer: Result<T, SdkError<E, HttpResponse>>) -> Option<Finding>
where
    E: ProvideErrorMetadata,
{
    let error = explain(&answer.err()?);
    (error.kind == QueueErrorKind::Misconfigured).then(|| {
        let found = format!("{action} is refused: {error}");
        Finding::failure("permissions", found, format!("allow {action} to this identity"))
    })
}
