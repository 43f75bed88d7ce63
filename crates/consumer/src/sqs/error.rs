//! What SQS's errors mean here.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;
use aws_smithy_runtime_api::client::result::DispatchFailure;

use crate::queue::{ItemError, QueueError, QueueErrorKind};

/// Somebody has to change something before these go away. Where both forms stand, query and JSON protocol spell it
/// differently (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>).
const MISCONFIGURED: [&str; 19] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidAddress",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "KmsAccessDenied",
    "KmsDisabled",
    "KmsNotFound",
    "MissingAuthenticationToken",
    "NonExistentQueue",
    "QueueDoesNotExist",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// The lease has ended: no retry with this handle can help.
const LEASE_ENDED: [&str; 3] = ["InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid"];

/// Codes that say "sender's fault" and yet pass, or are mended without the item.
const PASSING: [&str; 4] = ["AccessDenied", "AccessDeniedException", "OverLimit", "RequestThrottled"];

/// What a failed call of the AWS SDK means, whichever service was called. Codes are compared as text: not every server sends
/// its errors such that the SDK can type them, and the same code comes with and without its prefix.
pub fn explain<E>(error: &SdkError<E>) -> QueueError
where
    E: ProvideErrorMetadata,
{
    let unavailable = |code: &str, reason: &str| QueueError {
        kind: QueueErrorKind::Unavailable,
        code: code.to_owned(),
        reason: reason.to_owned(),
    };
    match error {
        SdkError::ServiceError(context) => {
            let Some(code) = context.err().code().map(bare) else {
                // Something in between, or the endpoint of something else.
                let reason = format!("HTTP {}, and no error of SQS in the answer", context.raw().status().as_u16());
                return unavailable("BadAnswer", &reason);
            };
            let kind = match code {
                "OverLimit" => QueueErrorKind::OverLimit,
                code if MISCONFIGURED.contains(&code) => QueueErrorKind::Misconfigured,
                _ => QueueErrorKind::Unavailable,
            };
            let reason = context.err().message().unwrap_or("the queue gave no reason").to_owned();
            QueueError { kind, code: code.to_owned(), reason }
        }
        SdkError::TimeoutError(_) => unavailable("Timeout", "no answer in time"),
        SdkError::DispatchFailure(failure) if let Some(reason) = no_credentials(failure) => {
            QueueError { kind: QueueErrorKind::Misconfigured, code: "NoCredentials".to_owned(), reason }
        }
        SdkError::DispatchFailure(failure) => {
            let reason = failure.as_connector_error().map_or_else(|| "no connection".to_owned(), chain);
            unavailable("Unreachable", &reason)
        }
        SdkError::ResponseError(_) => unavailable("BadAnswer", "the answer is not one of SQS"),
        SdkError::ConstructionFailure(_) => QueueError {
            kind: QueueErrorKind::Misconfigured,
            code: "BadRequest".to_owned(),
            reason: "the request could not be built: check region, endpoint and credentials".to_owned(),
        },
        _ => unavailable("Unknown", "the call failed"),
    }
}

/// Nothing was sent, since there is nothing to sign it with. A provider that did not answer may do so later.
fn no_credentials(failure: &DispatchFailure) -> Option<String> {
    let mut error: Option<&(dyn Error + 'static)> = failure.as_connector_error().map(|error| error as _);
    while let Some(cause) = error {
        match cause.downcast_ref::<CredentialsError>() {
            Some(CredentialsError::CredentialsNotLoaded(_)) => {
                return Some(
                    "no AWS credentials: give the process a role, AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY"
                        .to_owned(),
                );
            }
            Some(error @ CredentialsError::InvalidConfiguration(_)) => return Some(chain(error)),
            _ => error = cause.source(),
        }
    }
    None
}

/// What a failed item means.
pub(super) fn item_error(entry: &BatchResultErrorEntry) -> ItemError {
    let code = bare(entry.code());
    let is_final = LEASE_ENDED.contains(&code) || (entry.sender_fault() && !PASSING.contains(&code));
    ItemError { code: code.to_owned(), is_final }
}

/// A code without the prefix and suffix that some servers send.
fn bare(code: &str) -> &str {
    let code = code.rsplit_once('#').map_or(code, |(_, code)| code);
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    code.split_once(';').map_or(code, |(code, _)| code)
}

fn chain(error: &impl Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::error::ErrorMetadata;
    use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

    use super::*;

    fn entry(code: &str, sender_fault: bool) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender_fault).build().unwrap()
    }

    #[test]
    fn an_ended_lease_is_final_however_it_is_spelled_and_whoever_is_blamed() {
        for code in [
            "ReceiptHandleIsInvalid",
            "AWS.SimpleQueueService.MessageNotInflight",
            "com.amazonaws.sqs#ReceiptHandleIsInvalid",
        ] {
            assert!(item_error(&entry(code, false)).is_final, "{code}");
        }
    }

    #[test]
    fn what_needs_somebody_is_in_order_and_stands_there_once() {
        assert!(MISCONFIGURED.is_sorted_by(|one, next| one < next), "{MISCONFIGURED:?}");
    }

    #[test]
    fn an_answer_of_something_else_is_told_by_its_status() {
        let nothing = ReceiveMessageError::generic(ErrorMetadata::builder().build());
        let answer = HttpResponse::new(502.try_into().unwrap(), "<html>".into());
        let error = explain(&SdkError::service_error(nothing, answer));
        assert_eq!(error.to_string(), "BadAnswer: HTTP 502, and no error of SQS in the answer");
        assert_eq!(error.kind, QueueErrorKind::Unavailable, "it may pass");
    }

    #[test]
    fn an_answer_that_does_not_come_may_come_later() {
        let error = explain(&SdkError::<ReceiveMessageError>::timeout_error("late"));
        assert_eq!((error.kind, error.code.as_str()), (QueueErrorKind::Unavailable, "Timeout"));
    }

    #[test]
    fn throttling_and_missing_permission_are_tried_again_though_the_sender_is_blamed() {
        for code in ["RequestThrottled", "AccessDenied"] {
            assert!(!item_error(&entry(code, true)).is_final, "{code}");
        }
        assert!(!item_error(&entry("InternalError", false)).is_final);
    }
}
