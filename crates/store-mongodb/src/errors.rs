//! What the driver's errors mean to the trail.
//!
//! By their codes: <https://www.mongodb.com/docs/manual/reference/error-codes/>. Messages are passed on only where they
//! cannot quote a document.

use afterimage_store::{AppendError, StoreError};
use mongodb::error::{Error, ErrorKind, IndexedWriteError, WriteFailure};

/// Longest part of a driver's message that is passed on.
const MESSAGE_CHARS_MAX: usize = 300;

pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;
pub(crate) const INDEX_NOT_FOUND: i32 = 27;
pub(crate) const COMMAND_NOT_FOUND: i32 = 59;
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
/// Atlas: "bad auth", and other refusals of its proxy.
const ATLAS_ERROR: i32 = 8000;
const DOCUMENT_VALIDATION_FAILURE: i32 = 121;
const DUPLICATE_KEY: i32 = 11000;
/// An index with this name, or on these fields, exists with other options.
const INDEX_CONFLICTS: [i32; 2] = [85, 86];
/// A document, or a key of an index (Amazon `DocumentDB`), is larger than the server takes.
const TOO_LARGE: [i32; 4] = [10334, 17280, 17419, 17420];

/// What can be done about a failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Ask again later: nothing is known about the outcome.
    Transient(String),
    /// The user, the schema or a setting must be changed first.
    Setup(String),
    /// The server will never take this document.
    Refused(String),
}

impl Failure {
    /// What an append says. What only an operator can change is no fault of the entry either.
    pub(crate) fn into_append(self) -> AppendError {
        match self {
            Self::Refused(reason) => AppendError::Refused { reason },
            Self::Transient(reason) | Self::Setup(reason) => AppendError::Unavailable { reason },
        }
    }

    pub(crate) fn into_store(self) -> StoreError {
        match self {
            Self::Setup(reason) => StoreError::Misconfigured { reason },
            Self::Transient(reason) | Self::Refused(reason) => StoreError::Unavailable { reason },
        }
    }

    pub(crate) fn late() -> Self {
        Self::Transient("no answer in time".to_owned())
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match &*error.kind {
            ErrorKind::Authentication { message, .. } => {
                Self::Setup(format!("MongoDB refuses the user or its password: {}", shortened(message)))
            }
            ErrorKind::Command(command) => coded(command.code, &command.code_name),
            ErrorKind::InsertMany(insert) => match &insert.write_concern_error {
                Some(concern) => not_by_a_majority(concern.code, &concern.code_name),
                None => Self::Transient("some documents were not taken".to_owned()),
            },
            ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
                not_by_a_majority(concern.code, &concern.code_name)
            }
            ErrorKind::Write(WriteFailure::WriteError(write)) => {
                coded(write.code, write.code_name.as_deref().unwrap_or_default())
            }
            ErrorKind::InvalidTlsConfig { message, .. } | ErrorKind::IncompatibleServer { message, .. } => {
                Self::Setup(shortened(message))
            }
            ErrorKind::ServerSelection { message, .. } => server_selection(message),
            // The driver refuses by itself what does not fit one message.
            ErrorKind::InvalidArgument { .. } => Self::Refused("the driver refuses the document".to_owned()),
            ErrorKind::Io(error) => Self::Transient(format!("I/O error: {error}")),
            ErrorKind::DnsResolve { message, .. } | ErrorKind::ConnectionPoolCleared { message, .. } => {
                Self::Transient(shortened(message))
            }
            // Anything else might quote a document.
            _ => Self::Transient("the driver failed".to_owned()),
        }
    }
}

/// No server answers, and the driver says of each why. What only an operator can change stands there as text.
fn server_selection(message: &str) -> Failure {
    let setup = ["certificate", "Certificate", "CertificateRequired", "UnknownCA", "wire version"];
    if setup.iter().any(|sign| message.contains(sign)) {
        Failure::Setup(shortened(message))
    } else {
        Failure::Transient(shortened(message))
    }
}

fn coded(code: i32, name: &str) -> Failure {
    match code {
        UNAUTHORIZED => Failure::Setup(
            "the MongoDB user lacks a permission: a worker needs find and insert on the database, `afterimage migrate` \
             createCollection, createIndex, dropIndex, listIndexes, listCollections and update too"
                .to_owned(),
        ),
        AUTHENTICATION_FAILED | ATLAS_ERROR => {
            Failure::Setup("MongoDB refuses the user or its password".to_owned())
        }
        DOCUMENT_VALIDATION_FAILURE => {
            Failure::Setup("a validation rule of the collection refuses an entry: remove the rule".to_owned())
        }
        code if INDEX_CONFLICTS.contains(&code) => Failure::Setup(
            "an index of ours exists with other fields or options: drop it and run `afterimage migrate`".to_owned(),
        ),
        code if TOO_LARGE.contains(&code) => {
            Failure::Refused(format!("a document or an index key is larger than the server takes (error {code})"))
        }
        code => Failure::Transient(format!("error {code} {name}")),
    }
}

fn not_by_a_majority(code: i32, name: &str) -> Failure {
    Failure::Transient(format!("not acknowledged by a majority: error {code} {name}"))
}

/// What became of one document of an unordered insert: stored already, or not stored.
pub(crate) fn of_write(error: &IndexedWriteError) -> Result<(), Failure> {
    if error.code != DUPLICATE_KEY {
        return Err(coded(error.code, error.code_name.as_deref().unwrap_or_default()));
    }
    match index_of(&error.message) {
        Some("_id_" | "_id") => Ok(()),
        _ => Err(Failure::Setup(
            "a unique index that is not ours refuses an entry: make it an index that is not unique".to_owned(),
        )),
    }
}

/// The index that a message about a duplicate names: `E11000 duplicate key error collection: db.entries index: _id_ dup
/// key: { _id: "…" }`. The first one: what follows may quote anything.
fn index_of(message: &str) -> Option<&str> {
    message.split_once(" index: ")?.1.split_whitespace().next()
}

/// Is it about a key that is there already?
pub(crate) fn of_duplicate(code: i32) -> bool {
    code == DUPLICATE_KEY
}

fn shortened(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{deserialize_from_document, doc};

    use super::*;

    fn written(code: i32, message: &str) -> Result<(), Failure> {
        of_write(&deserialize_from_document(doc! { "index": 0, "code": code, "errmsg": message }).unwrap())
    }

    #[test]
    fn only_a_duplicate_id_is_an_entry_stored_already() {
        let message = |index: &str| {
            format!(
                r#"E11000 duplicate key error collection: db.entries index: {index} dup key: {{ _id: " index: _id_ " }}"#
            )
        };
        assert_eq!(written(11000, &message("_id_")), Ok(()));
        assert!(matches!(written(11000, &message("mine")), Err(Failure::Setup(_))));
        assert!(matches!(written(11000, "?"), Err(Failure::Setup(_))));
    }

    #[test]
    fn only_what_never_fits_is_refused() {
        for code in TOO_LARGE {
            assert!(matches!(written(code, "").unwrap_err().into_append(), AppendError::Refused { .. }), "{code}");
        }
        // Interrupted, not writable primary, stepped down, unauthorized, validation, a code nobody knows.
        for code in [11600, 10107, 189, 13, 121, 99_999] {
            let error = written(code, "secret").unwrap_err().into_append();
            assert!(matches!(error, AppendError::Unavailable { .. }), "{code}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_an_operator_must_change_is_misconfigured() {
        for code in [13, 18, 8000, 121, 85, 86] {
            assert!(matches!(coded(code, "").into_store(), StoreError::Misconfigured { .. }), "{code}");
        }
        assert!(matches!(coded(91, "ShutdownInProgress").into_store(), StoreError::Unavailable { .. }));
        assert!(matches!(
            server_selection("… invalid peer certificate: UnknownIssuer").into_store(),
            StoreError::Misconfigured { .. }
        ));
        assert!(matches!(server_selection("… Connection refused").into_store(), StoreError::Unavailable { .. }));
    }
}
