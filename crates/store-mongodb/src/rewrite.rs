//! Documents of schema 1, brought up to date.
//!
//! They have no `what` and no `by`, and their tables were not announced. Both follow from the entry, and the entry from
//! the document: so each is written anew, as this release would have written it.

use std::collections::HashSet;

use afterimage_store::StoreError;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use mongodb::{Collection, Database};

use crate::announce::table_of;
use crate::connection::{entries, tables, within};
use crate::document::{self, ID, WHAT};
use crate::migrate::{LONG_STEP_TIMEOUT, is_duplicate, store_error};
use crate::rows;
use crate::write::DOCUMENT_BYTES_MAX;

/// Documents read at once.
const PAGE_DOCUMENTS: i64 = 500;

/// Writes every document of schema 1 anew; how many there were. May be cut off at any place and begun again, and be done
/// by several at once: all write the same.
pub(crate) async fn rewrite(database: &Database) -> Result<u64, StoreError> {
    let collection = entries(database);
    let (mut rewritten, mut announced, mut past) = (0, HashSet::new(), None::<Bson>);
    loop {
        let page = within(LONG_STEP_TIMEOUT, page(&collection, past.as_ref())).await?;
        let Some(last) = page.last() else { return Ok(rewritten) };
        past = Some(id(last)?);
        for found in &page {
            let (entry, arrival) = rows::entry(found)?;
            let table = table_of(&entry);
            if !announced.contains(&table) {
                announce(database, raw(document::of_table(&table))?).await?;
                announced.insert(table);
            }
            let anew = raw(document::write(&entry, &arrival, DOCUMENT_BYTES_MAX))?;
            collection.replace_one(doc! { ID: id(found)? }, anew).await.map_err(store_error)?;
            rewritten += 1;
        }
    }
}

/// The next documents of schema 1, by `_id`.
async fn page(collection: &Collection<RawDocumentBuf>, past: Option<&Bson>) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let mut filter = doc! { WHAT: { "$exists": false } };
    if let Some(past) = past {
        filter.insert(ID, doc! { "$gt": past });
    }
    let find = collection.find(filter).sort(doc! { ID: 1 }).limit(PAGE_DOCUMENTS);
    find.await.map_err(store_error)?.try_collect().await.map_err(store_error)
}

async fn announce(database: &Database, table: RawDocumentBuf) -> Result<(), StoreError> {
    match tables(database).insert_one(table).await {
        Err(error) if !is_duplicate(&error) => Err(store_error(error)),
        _ => Ok(()),
    }
}

fn id(document: &RawDocumentBuf) -> Result<Bson, StoreError> {
    let id = document.get_str(ID).map_err(|_| rows::damaged(document, "its `_id` is no text"))?;
    Ok(Bson::String(id.to_owned()))
}

fn raw(bson: Vec<u8>) -> Result<RawDocumentBuf, StoreError> {
    RawDocumentBuf::from_bytes(bson).map_err(|_| StoreError::Damaged { reason: "it makes no document".to_owned() })
}
