//! What a request can be refused for, as SQS names it.

/// A refused request or batch entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the specified queue does not exist")]
    QueueDoesNotExist,
    #[error("a queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    #[error("unknown attribute {0}")]
    InvalidAttributeName(String),
    #[error("invalid value for the attribute {0}: {1}")]
    InvalidAttributeValue(String, String),
    #[error("the receipt handle is not one of this queue")]
    ReceiptHandleIsInvalid,
    #[error("the message is not in flight")]
    MessageNotInflight,
    #[error("{0}")]
    InvalidMessageContents(&'static str),
    #[error("two entries of the batch have the same id")]
    BatchEntryIdsNotDistinct,
    #[error("the batch has no entries")]
    EmptyBatchRequest,
    #[error("the batch has {0} entries; at most 10 are taken")]
    TooManyEntriesInBatchRequest(usize),
    #[error("the batch has {0} bytes; at most 1048576 are taken")]
    BatchRequestTooLong(usize),
    #[error("a batch entry id has 1 to 80 letters, digits, hyphens and underscores")]
    InvalidBatchEntryId,
    #[error("{0} is not supported by the embedded queue")]
    UnsupportedOperation(String),
    #[error("120000 messages are in flight already: delete some")]
    OverLimit,
    #[error("the embedded queue holds as many bytes as it may: receive and delete some, or raise its limit")]
    RequestThrottled,
    #[error("{0}")]
    ResourceNotFound(String),
    #[error("{0}")]
    InvalidParameterValue(String),
    #[error("the request must contain the parameter {0}")]
    MissingParameter(&'static str),
    #[error("the request body is no JSON of this operation (line {0}, column {1})")]
    Malformed(usize, usize),
    #[error("an internal error, injected as a fault")]
    Injected,
    #[error("the request body is longer than {0} bytes")]
    BodyTooLong(usize),
}

impl From<serde_json::Error> for Error {
    /// Keeps the place only: serde's own message may quote a value.
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error.line(), error.column())
    }
}

impl Error {
    /// The shape's name in the JSON protocol (`__type`), and the older code of the query protocol
    /// (`x-amzn-query-error`), which SDKs prefer where both are sent.
    pub(crate) const fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::QueueDoesNotExist => ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
            Self::QueueNameExists(_) => ("QueueNameExists", "QueueAlreadyExists"),
            Self::InvalidAttributeName(_) => ("InvalidAttributeName", "InvalidAttributeName"),
            Self::InvalidAttributeValue(..) => ("InvalidAttributeValue", "InvalidAttributeValue"),
            Self::ReceiptHandleIsInvalid => ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
            Self::MessageNotInflight => ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
            Self::InvalidMessageContents(_) => ("InvalidMessageContents", "InvalidMessageContents"),
            Self::BatchEntryIdsNotDistinct => {
                ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
            }
            Self::EmptyBatchRequest => ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
            Self::TooManyEntriesInBatchRequest(_) => {
                ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
            }
            Self::BatchRequestTooLong(_) => ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
            Self::InvalidBatchEntryId => ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
            Self::UnsupportedOperation(_) => ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
            Self::OverLimit => ("OverLimit", "OverLimit"),
            Self::RequestThrottled => ("RequestThrottled", "RequestThrottled"),
            Self::ResourceNotFound(_) => ("ResourceNotFoundException", "ResourceNotFoundException"),
            Self::InvalidParameterValue(_) => ("InvalidParameterValue", "InvalidParameterValue"),
            Self::MissingParameter(_) => ("MissingParameter", "MissingParameter"),
            Self::Injected => ("InternalError", "InternalError"),
            Self::Malformed(..) => ("SerializationException", "MalformedInput"),
            Self::BodyTooLong(_) => ("RequestEntityTooLarge", "RequestEntityTooLarge"),
        }
    }

    /// The HTTP status: SQS has one for nearly everything.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::ResourceNotFound(_) => 404,
            _ => 400,
        }
    }

    /// Did the caller cause it, so that sending the same again cannot help?
    pub(crate) const fn is_sender_fault(&self) -> bool {
        !matches!(self, Self::RequestThrottled | Self::Injected)
    }
}
