use afterimage_store::StoreError;
use rusqlite::ErrorCode;

/// What SQLite says, without values: its messages hold names of ours and of files, never bound parameters.
pub(crate) fn reason(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(failure, Some(text)) => format!("sqlite: {text} ({})", failure.extended_code),
        rusqlite::Error::SqliteFailure(failure, None) => format!("sqlite: {failure}"),
        // The other kinds may hold a value that did not convert.
        _ => "sqlite: unexpected column".to_owned(),
    }
}

/// A failed read, or a failure that concerns the whole file.
pub(crate) fn store_error(error: rusqlite::Error) -> StoreError {
    let reason = reason(&error);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => StoreError::Damaged { reason },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            StoreError::Misconfigured {
                reason: format!("{reason}; the process must be able to write to the file and its folder"),
            }
        }
        Some(_) => StoreError::Unavailable { reason },
    }
}
