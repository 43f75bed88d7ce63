//! The schema: looking at its version, and making it.

use std::time::Duration;

use afterimage_store::StoreError;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use crate::connection::within;
use crate::errors::{Failure, INDEX_NOT_FOUND, NAMESPACE_NOT_FOUND, of_duplicate};
use crate::rewrite::rewrite;
use crate::schema::{ENTRIES, INDEXES, RETIRED, TABLES, VERSION, VERSIONS};

/// Longest wait for a step that looks at a whole collection. An index goes on being built when nobody waits.
pub(crate) const LONG_STEP_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Can this release use what is there?
pub(crate) async fn check(database: &Database, name: &str) -> Result<(), StoreError> {
    let misconfigured = |reason| Err(StoreError::Misconfigured { reason });
    match version(database).await? {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => misconfigured(newer_schema(name, newer)),
        Some(_) => misconfigured(format!("the schema in database {name} is not complete: run `afterimage migrate`")),
        None => misconfigured(format!("database {name} has no trail in it: run `afterimage migrate`")),
    }
}

fn newer_schema(name: &str, version: i32) -> String {
    format!(
        "the schema in database {name} has version {version}, this release knows only {VERSION}: use the release that \
         migrated it, or a later one"
    )
}

/// Makes what is missing; returns what it did. Every step may be taken again, and by several at once.
pub(crate) async fn migrate(database: &Database, name: &str, step: Duration) -> Result<Vec<String>, StoreError> {
    let mut done = Vec::new();
    let found = within(step, version(database)).await?;
    if let Some(newer) = found.filter(|found| *found > VERSION) {
        return Err(StoreError::Misconfigured { reason: newer_schema(name, newer) });
    }
    for collection in [ENTRIES, TABLES] {
        within(step, check_collection(database, name, collection)).await?;
    }
    let present = within(step, index_names(database)).await?;
    for index in &INDEXES {
        if present.iter().any(|name| name == index.name) {
            continue;
        }
        let options =
            IndexOptions::builder().name(index.name.to_owned()).partial_filter_expression(index.filter()).build();
        let model = IndexModel::builder().keys(index.keys()).options(options).build();
        let collection = database.collection::<Document>(ENTRIES);
        within(LONG_STEP_TIMEOUT, async { collection.create_index(model).await.map_err(store_error) }).await?;
        done.push(format!("created index {} on {name}.{ENTRIES}", index.name));
    }
    if found != Some(VERSION) {
        let rewritten = rewrite(database).await?;
        if rewritten > 0 {
            done.push(format!("brought {rewritten} documents of {name}.{ENTRIES} up to date"));
        }
    }
    for index in RETIRED.into_iter().filter(|index| present.iter().any(|name| name == index)) {
        within(step, drop_index(database, index)).await?;
        done.push(format!("dropped index {index} on {name}.{ENTRIES}, which serves no question any more"));
    }
    if found != Some(VERSION) {
        // Written last: what bears the version is complete.
        let versions = database.collection::<Document>(VERSIONS);
        let inserted = within(step, async {
            match versions.insert_one(doc! { "_id": VERSION }).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(store_error(error)),
            }
        });
        if inserted.await? {
            done.push(format!("schema version {VERSION}"));
        }
    }
    Ok(done)
}

/// A collection with a collation holds texts to be equal that are not, also in `_id`: an entry would be taken for
/// another one. And a capped collection forgets.
async fn check_collection(database: &Database, name: &str, collection: &str) -> Result<(), StoreError> {
    let found: Vec<_> = database
        .list_collections()
        .filter(doc! { "name": collection })
        .await
        .map_err(store_error)?
        .try_collect()
        .await
        .map_err(store_error)?;
    let Some(found) = found.into_iter().find(|found| found.name == collection) else { return Ok(()) };
    let is_simple = found.options.collation.as_ref().is_none_or(|collation| collation.locale == "simple");
    let is_plain = is_simple
        && found.options.capped != Some(true)
        && found.options.timeseries.is_none()
        && found.options.view_on.is_none();
    if is_plain {
        return Ok(());
    }
    let reason = format!(
        "{name}.{collection} exists and has a collation, is capped, a time series or a view: use another database, or drop it"
    );
    Err(StoreError::Misconfigured { reason })
}

async fn index_names(database: &Database) -> Result<Vec<String>, StoreError> {
    match database.collection::<Document>(ENTRIES).list_index_names().await {
        Ok(names) => Ok(names),
        Err(error) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Ok(Vec::new()),
        Err(error) => Err(store_error(error)),
    }
}

async fn drop_index(database: &Database, index: &str) -> Result<(), StoreError> {
    match database.collection::<Document>(ENTRIES).drop_index(index).await {
        // Somebody else was faster.
        Err(error) if code(&error) == Some(INDEX_NOT_FOUND) => Ok(()),
        dropped => dropped.map_err(store_error),
    }
}

async fn version(database: &Database) -> Result<Option<i32>, StoreError> {
    let versions = database.collection::<Document>(VERSIONS);
    let newest = versions.find_one(doc! {}).sort(doc! { "_id": -1 }).await.map_err(store_error)?;
    let Some(newest) = newest else { return Ok(None) };
    match newest.get("_id") {
        Some(Bson::Int32(version)) => Ok(Some(*version)),
        // As a person would write it in mongosh.
        Some(Bson::Double(version)) if version.fract() == 0.0 => Ok(Some(*version as i32)),
        Some(Bson::Int64(version)) => Ok(Some(i32::try_from(*version).unwrap_or(i32::MAX))),
        _ => Err(StoreError::Damaged { reason: format!("{VERSIONS}: expected a number as _id") }),
    }
}

pub(crate) fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if of_duplicate(write.code))
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn store_error(error: Error) -> StoreError {
    Failure::from(&error).into_store()
}
