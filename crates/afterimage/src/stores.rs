//! Opening the store that was chosen: the one place that knows all kinds.

use std::sync::Arc;

use afterimage_store::{Lookup, StoreError};
use afterimage_store_cassandra::CassandraStore;
use afterimage_store_mongodb::MongoStore;
use afterimage_store_sqlite::{Options, SqliteStore};

use crate::config::StoreConfig;

/// What to do where there is no store yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Make it.
    Make,
    /// Say so: a question must not leave an empty file behind.
    Refuse,
}

/// Opens a store, without asking it anything yet where it is reached over the network.
pub(crate) fn open(config: &StoreConfig, missing: Missing) -> Result<Arc<dyn Lookup>, StoreError> {
    match config {
        StoreConfig::Sqlite { path } if missing == Missing::Refuse && !path.exists() => {
            let reason = format!("there is no file `{}`; --sqlite-path names the trail's file", path.display());
            Err(StoreError::Misconfigured { reason })
        }
        StoreConfig::Sqlite { path } => Ok(Arc::new(SqliteStore::open(path, &Options::default())?)),
        StoreConfig::Cassandra(config) => match CassandraStore::new((**config).clone()) {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(StoreError::Misconfigured { reason: error.to_string() }),
        },
        StoreConfig::Mongodb(config) => match MongoStore::new((**config).clone()) {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(StoreError::Misconfigured { reason: error.to_string() }),
        },
    }
}
