//! What the driver's errors mean to the trail.

use afterimage_store::{AppendError, StoreError};
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
    NewSessionError, PrepareError, RequestAttemptError,
};

/// Longest part of a server's message that is passed on.
const MESSAGE_CHARS_MAX: usize = 200;

const MISSING: &str = "the keyspace or a table is missing: run `afterimage migrate`";

/// What can be done about a failed request.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Ask again later.
    Transient(String),
    /// The role, the schema or a setting must be changed first.
    Setup(String),
    /// The server knows no such keyspace or table.
    Missing,
    /// The server will never take these bytes.
    Refused(String),
    /// The connection or the session is no good; also worth asking again.
    Connection(String),
}

impl Failure {
    /// What an append says. What only an operator can change is no fault of the entry either.
    pub(crate) fn into_append(self) -> AppendError {
        match self {
            Self::Refused(reason) => AppendError::Refused { reason },
            Self::Missing => AppendError::Unavailable { reason: MISSING.to_owned() },
            Self::Transient(reason) | Self::Setup(reason) | Self::Connection(reason) => {
                AppendError::Unavailable { reason }
            }
        }
    }

    pub(crate) fn into_store(self) -> StoreError {
        match self {
            Self::Setup(reason) => StoreError::Misconfigured { reason },
            Self::Missing => StoreError::Misconfigured { reason: MISSING.to_owned() },
            Self::Transient(reason) | Self::Refused(reason) | Self::Connection(reason) => {
                StoreError::Unavailable { reason }
            }
        }
    }
}

impl From<&ExecutionError> for Failure {
    fn from(error: &ExecutionError) -> Self {
        match error {
            ExecutionError::LastAttemptError(attempt) => attempt.into(),
            ExecutionError::PrepareError(error) => error.into(),
            ExecutionError::ConnectionPoolError(error) => error.into(),
            ExecutionError::EmptyPlan => Self::Connection("no node of the local data centre is known".to_owned()),
            ExecutionError::RequestTimeout(limit) => {
                Self::Connection(format!("no answer within {} ms", limit.as_millis()))
            }
            // The only thing in our rows that can be too large to serialize is a value of 2 GiB.
            ExecutionError::BadQuery(_) => Self::Refused("a value does not fit the native protocol".to_owned()),
            other => Self::Transient(other.to_string()),
        }
    }
}

impl From<&PrepareError> for Failure {
    fn from(error: &PrepareError) -> Self {
        match error {
            PrepareError::ConnectionPoolError(error) => error.into(),
            PrepareError::AllAttemptsFailed { first_attempt } => first_attempt.into(),
            other => Self::Transient(other.to_string()),
        }
    }
}

impl From<&RequestAttemptError> for Failure {
    fn from(error: &RequestAttemptError) -> Self {
        match error {
            RequestAttemptError::DbError(error, message) => database(error, message),
            RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => {
                Self::Refused("a value does not fit the native protocol".to_owned())
            }
            RequestAttemptError::BrokenConnectionError(error) => Self::Connection(error.to_string()),
            other => Self::Transient(other.to_string()),
        }
    }
}

/// An error that the server sent. Its message is passed on only where it cannot hold anything of a row.
fn database(error: &DbError, message: &str) -> Failure {
    match error {
        DbError::Unauthorized => Failure::Setup(format!("the role may not do this: {}", shortened(message))),
        DbError::AuthenticationError => bad_credentials(),
        DbError::Invalid if is_about_size(message) => Failure::Refused("it is too large for the server".to_owned()),
        DbError::Invalid if message.contains("unconfigured table") || message.contains("does not exist") => {
            Failure::Missing
        }
        // No entry is to blame: rather ask again for ever than bury sound entries. The text of a query holds no values,
        // so what a parser says of it may be shown.
        DbError::SyntaxError | DbError::ConfigError => {
            Failure::Transient(format!("the server does not take the query: {}", shortened(message)))
        }
        other => Failure::Transient(other.to_string()),
    }
}

/// Cassandra: "Rejected an oversized mutation (…)", "Request is too big: …", "Key length of … is longer than maximum of
/// 65535", guardrails: "… exceeds the failure threshold". `ScyllaDB`: "Mutation of … bytes is too large for the maximum
/// size of …", "Key size too large: …".
fn is_about_size(message: &str) -> bool {
    ["oversized", "too large", "longer than maximum", "too big", "exceeds"].iter().any(|part| message.contains(part))
}

fn bad_credentials() -> Failure {
    Failure::Setup("the cluster refuses the user name or the password".to_owned())
}

fn shortened(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

impl From<&ConnectionPoolError> for Failure {
    fn from(error: &ConnectionPoolError) -> Self {
        match error {
            ConnectionPoolError::Broken { last_connection_error } => last_connection_error.into(),
            other => Self::Connection(other.to_string()),
        }
    }
}

impl From<&ConnectionError> for Failure {
    fn from(error: &ConnectionError) -> Self {
        let ConnectionError::ConnectionSetupRequestError(setup) = error else {
            return Self::Connection(error.to_string());
        };
        match setup.get_error() {
            ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, _) => bad_credentials(),
            ConnectionSetupRequestErrorKind::MissingAuthentication => {
                Self::Setup("the cluster wants a user name and a password: none is configured".to_owned())
            }
            ConnectionSetupRequestErrorKind::DbError(error, message) => database(error, message),
            other => Self::Connection(other.to_string()),
        }
    }
}

impl From<&MetadataError> for Failure {
    fn from(error: &MetadataError) -> Self {
        match error {
            MetadataError::ConnectionPoolError(error) => error.into(),
            other => Self::Connection(other.to_string()),
        }
    }
}

impl From<&NewSessionError> for Failure {
    fn from(error: &NewSessionError) -> Self {
        match error {
            NewSessionError::FailedToResolveAnyHostname(names) => {
                Self::Connection(format!("no such host: {}", names.join(", ")))
            }
            NewSessionError::MetadataError(error) => error.into(),
            NewSessionError::IllegalConfig(_) | NewSessionError::EmptyKnownNodesList => Self::Setup(error.to_string()),
            other => Self::Connection(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(error: DbError, message: &str) -> Failure {
        Failure::from(&ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, message.to_owned())))
    }

    #[test]
    fn only_what_never_fits_is_refused() {
        for message in [
            "Rejected an oversized mutation (2097450/1048576) for keyspace: afterimage",
            "Request is too big: length 41943181 exceeds maximum allowed length 16777216.",
            "Mutation of 17000000 bytes is too large for the maximum size of 16777216",
        ] {
            assert!(matches!(answered(DbError::Invalid, message).into_append(), AppendError::Refused { .. }));
        }
        for (error, message) in [
            (DbError::Invalid, "unconfigured table entries"),
            (DbError::Invalid, "Invalid amount of bind variables"),
            (DbError::Unauthorized, "User writer has no MODIFY permission on <table a.entries>"),
            (DbError::Overloaded, "too large a queue"),
        ] {
            assert!(matches!(answered(error, message).into_append(), AppendError::Unavailable { .. }), "{message}");
        }
    }

    #[test]
    fn what_an_operator_must_change_is_misconfigured() {
        for (error, message) in [
            (DbError::Invalid, "unconfigured table entries"),
            (DbError::Unauthorized, "User writer has no SELECT permission on <table a.entries>"),
            (DbError::AuthenticationError, "Provided username writer and/or password are incorrect"),
        ] {
            assert!(matches!(answered(error, message).into_store(), StoreError::Misconfigured { .. }), "{message}");
        }
        let timeout = DbError::ReadFailure {
            consistency: scylla::statement::Consistency::LocalQuorum,
            received: 1,
            required: 2,
            numfailures: 1,
            data_present: false,
        };
        assert!(matches!(answered(timeout, "").into_store(), StoreError::Unavailable { .. }));
    }

    #[test]
    fn messages_that_may_quote_a_row_are_not_passed_on() {
        let failure = answered(DbError::Invalid, "Expected 8 bytes but got 'secret value'");
        assert!(!failure.into_append().to_string().contains("secret"));
    }
}
