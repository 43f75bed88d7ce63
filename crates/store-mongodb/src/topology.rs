//! What the servers look like, and what of it endangers the promise.

use afterimage_store::StoreError;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};

use crate::errors::COMMAND_NOT_FOUND;
use crate::migrate::store_error;

/// What works, but should not be relied on: one line for each.
pub(crate) async fn warnings(database: &Database) -> Result<Vec<String>, StoreError> {
    let hello = match database.run_command(doc! { "hello": 1 }).await {
        // Servers before 4.4.2, and some that only speak the protocol.
        Err(error) if is_unknown_command(&error) => database.run_command(doc! { "isMaster": 1 }).await,
        answer => answer,
    };
    Ok(warnings_of(&hello.map_err(store_error)?).into_iter().collect())
}

fn is_unknown_command(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if command.code == COMMAND_NOT_FOUND)
}

fn warnings_of(hello: &Document) -> Option<String> {
    let loss = "one that crashes may lose entries whose messages are deleted";
    // A router of a sharded cluster does not say how many members its shards have.
    if hello.get_str("msg").is_ok_and(|message| message == "isdbgrid") {
        return None;
    }
    if hello.get_str("setName").is_err() {
        return Some(format!(
            "MongoDB runs as one server without a replica set: {loss}; use a replica set of at least 3"
        ));
    }
    let members = hello.get("hosts").and_then(Bson::as_array).map_or(0, Vec::len);
    (members < 2).then(|| format!("the replica set keeps one copy: {loss}; use at least 3 members"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_copy_is_warned_of() {
        let set = |hosts: &[&str]| doc! { "setName": "rs0", "hosts": hosts.to_vec() };
        assert!(warnings_of(&doc! { "isWritablePrimary": true }).unwrap().contains("without a replica set"));
        assert!(warnings_of(&set(&["a:1"])).unwrap().contains("one copy"));
        assert_eq!(warnings_of(&set(&["a:1", "b:1", "c:1"])), None);
        assert_eq!(warnings_of(&doc! { "msg": "isdbgrid" }), None);
    }
}
