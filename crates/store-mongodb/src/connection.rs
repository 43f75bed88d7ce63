//! The driver's client: made when first needed, and anew when it has gone stale.
//!
//! The driver finds servers again by itself. But it waits without end for the first answer on a new connection, and opens
//! only two at a time: on a line that went silent both wait for ever, and nothing is sent any more.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use afterimage_store::StoreError;
use mongodb::bson::RawDocumentBuf;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, Tls, TlsOptions, WriteConcern,
};
use mongodb::{Client, Collection, Database};
use tokio::sync::OnceCell;

use crate::errors::Failure;
use crate::migrate::store_error;
use crate::schema::{ENTRIES, TABLES};
use crate::{Config, migrate, topology};

/// Connections to one server: requests in flight at most, over all calls.
const POOL_SIZE_MAX: u32 = 32;

/// After so many request time-outs without any answer the client itself is suspected.
const SUSPECT_AFTER_TIMEOUTS: u32 = 2;

/// Holds the client.
pub(crate) struct Connection {
    config: Config,
    current: Mutex<Current>,
    /// Was the schema found to be one that this release can use?
    checked: OnceCell<()>,
}

impl Connection {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, current: Mutex::default(), checked: OnceCell::new() }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The database, with a schema that this release can use.
    pub(crate) async fn ready(&self) -> Result<Database, StoreError> {
        let database = self.database().await?;
        self.checked.get_or_try_init(|| self.first_check(&database)).await?;
        Ok(database)
    }

    /// The database, whatever is in it.
    pub(crate) async fn database(&self) -> Result<Database, StoreError> {
        let client = match self.usable() {
            Some(client) => client,
            None => self.open().await?,
        };
        Ok(client.database(&self.config.database))
    }

    /// The client there is, unless nothing was answered for so long that it is suspected itself.
    fn usable(&self) -> Option<Client> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current
            .silent_since
            .is_some_and(|since| since.elapsed() >= SUSPECT_AFTER_TIMEOUTS * self.config.request_timeout)
        {
            current.silent_since = None;
            if let Some(stale) = current.client.take() {
                // Waits for nothing, but closes what is open.
                tokio::spawn(async move { stale.shutdown().immediate(true).await });
            }
        }
        current.client.clone()
    }

    /// A request was answered, whatever the answer.
    pub(crate) fn answered(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).silent_since = None;
    }

    /// A request was not answered in time.
    pub(crate) fn not_answered(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.silent_since.get_or_insert_with(Instant::now);
    }

    async fn first_check(&self, database: &Database) -> Result<(), StoreError> {
        self.bounded(async {
            migrate::check(database, &self.config.database).await?;
            // What the servers look like is no reason to stop.
            for warning in topology::warnings(database).await.unwrap_or_default() {
                tracing::warn!("{warning}");
            }
            Ok(())
        })
        .await
    }

    /// Looks at the schema again.
    pub(crate) async fn check(&self, database: &Database) -> Result<(), StoreError> {
        self.bounded(migrate::check(database, &self.config.database)).await
    }

    /// Ends the wait for a request.
    pub(crate) async fn bounded<T>(
        &self,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.config.request_timeout, request).await {
            Ok(result) => {
                self.answered();
                result
            }
            Err(_) => {
                self.not_answered();
                Err(Failure::late().into_store())
            }
        }
    }

    async fn open(&self) -> Result<Client, StoreError> {
        // Asks the name server where the URI is of the SRV form.
        let made = async {
            let options = ClientOptions::parse(&self.config.uri).await.map_err(store_error)?;
            Client::with_options(self.options(options)).map_err(store_error)
        };
        let made = within(self.config.request_timeout, made).await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever else has made one meanwhile: the first is used.
        Ok(current.client.get_or_insert(made).clone())
    }

    /// What the URI says, with the guarantees of the trail and bounds on every wait.
    fn options(&self, mut options: ClientOptions) -> ClientOptions {
        let limit = self.config.request_timeout;
        let at_most = |wanted: Option<Duration>| Some(wanted.map_or(limit, |wanted| wanted.min(limit)));
        options.server_selection_timeout = at_most(options.server_selection_timeout);
        options.connect_timeout = at_most(options.connect_timeout);
        options.app_name.get_or_insert_with(|| "afterimage".to_owned());
        options.max_pool_size.get_or_insert(POOL_SIZE_MAX);
        options.write_concern =
            Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(limit).build());
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        if self.config.retry_writes.is_some() {
            options.retry_writes = self.config.retry_writes;
        }
        if let Some(credentials) = &self.config.credentials {
            options.credential = Some(credentials.for_driver());
        }
        if let Some(tls) = &self.config.tls {
            let of_uri = match options.tls.take() {
                Some(Tls::Enabled(of_uri)) => of_uri,
                _ => TlsOptions::default(),
            };
            options.tls = Some(Tls::Enabled(tls.for_driver(of_uri)));
        }
        options
    }

    pub(crate) async fn close(&self) {
        let client = self.current.lock().unwrap_or_else(PoisonError::into_inner).client.take();
        if let Some(client) = client {
            let shutdown = client.shutdown().immediate(true).into_future();
            // Nothing depends on how it ends.
            let _ended = tokio::time::timeout(self.config.request_timeout, shutdown).await;
        }
    }
}

/// The client in use.
#[derive(Default)]
struct Current {
    client: Option<Client>,
    /// Since when no request was answered in time.
    silent_since: Option<Instant>,
}

/// The collection of entries.
pub(crate) fn entries(database: &Database) -> Collection<RawDocumentBuf> {
    database.collection(ENTRIES)
}

/// The collection of tables.
pub(crate) fn tables(database: &Database) -> Collection<RawDocumentBuf> {
    database.collection(TABLES)
}

/// Ends a wait after this time.
pub(crate) async fn within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, request).await {
        Ok(result) => result,
        Err(_) => Err(Failure::late().into_store()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whatever_the_uri_leaves_open_a_majority_has_what_is_stored_and_what_is_read() {
        let uri = "mongodb://127.0.0.1/?readPreference=nearest&readConcernLevel=local";
        let connection = Connection::new(Config::new(uri, "trail"));
        let options = connection.options(ClientOptions::parse(uri).await.unwrap());
        let write = options.write_concern.unwrap();
        assert_eq!((write.w, write.journal), (Some(Acknowledgment::Majority), Some(true)));
        assert_eq!(write.w_timeout, Some(connection.config().request_timeout));
        assert_eq!(options.read_concern, Some(ReadConcern::majority()));
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        assert_eq!(options.selection_criteria, Some(primary));
    }
}
