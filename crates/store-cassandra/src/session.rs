//! A session with the cluster.

use std::num::NonZeroUsize;
use std::time::Duration;

use afterimage_store::StoreError;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::{Compression, PoolSize};
use scylla::errors::PrepareError;
use scylla::policies::load_balancing::DefaultPolicy;
use tokio::sync::OnceCell;

use crate::Config;
use crate::cluster;
use crate::config::node_address;
use crate::errors::Failure;
use crate::statements::{Inserts, Selects};

/// How long DDL may take to reach every node.
const SCHEMA_AGREEMENT: Duration = Duration::from_secs(30);

/// How often a connection is asked whether it lives. With the driver's 30 s, and 30 s for the answer, every request on one
/// that was cut without a word would fail for a minute.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// Longest wait for the answer, or the connection is made anew: a server that pauses to collect garbage keeps its own.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// An open session, and what it has prepared.
pub(crate) struct Live {
    pub(crate) session: Session,
    checked: OnceCell<()>,
    inserts: OnceCell<Inserts>,
    selects: OnceCell<Selects>,
}

impl Live {
    /// Opens a session; takes so long at most.
    pub(crate) async fn open(config: &Config, limit: Duration) -> Result<Self, StoreError> {
        config.validate().map_err(|error| StoreError::Misconfigured { reason: error.to_string() })?;
        let builder = builder(config)?;
        let nodes = config.nodes.join(", ");
        let session = match tokio::time::timeout(limit, builder.build()).await {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => {
                return Err(match Failure::from(&error).into_store() {
                    StoreError::Unavailable { reason } => {
                        StoreError::Unavailable { reason: format!("cannot reach {nodes}: {reason}") }
                    }
                    other => other,
                });
            }
            Err(_) => {
                let waited = limit.as_secs();
                return Err(StoreError::Unavailable { reason: format!("cannot reach {nodes} within {waited} s") });
            }
        };
        cluster::check_datacenter(&session, config)?;
        cluster::check_connected(&session, config)?;
        Ok(Self { session, checked: OnceCell::new(), inserts: OnceCell::new(), selects: OnceCell::new() })
    }

    /// What storing needs, prepared. The schema is looked at first, so that what is wrong with it is said in plain words.
    /// What should not be relied on goes to `warn`, once for each session.
    /// Takes `connect_timeout` at most: the driver has no limit of its own for preparing. What was done by then is done.
    pub(crate) async fn inserts(&self, config: &Config, warn: impl Fn(String)) -> Result<&Inserts, StoreError> {
        let prepare = async {
            self.check(config, warn).await?;
            self.inserts.get_or_try_init(|| prepared(Inserts::prepare(&self.session, config))).await
        };
        bounded(config.connect_timeout, prepare).await
    }

    /// What questions need, prepared, in the same way.
    pub(crate) async fn selects(&self, config: &Config, warn: impl Fn(String)) -> Result<&Selects, StoreError> {
        let prepare = async {
            self.check(config, warn).await?;
            self.selects.get_or_try_init(|| prepared(Selects::prepare(&self.session, config))).await
        };
        bounded(config.connect_timeout, prepare).await
    }

    async fn check(&self, config: &Config, warn: impl Fn(String)) -> Result<(), StoreError> {
        let check = async {
            crate::migrate::check(&self.session, config).await?;
            cluster::warnings(&self.session, config).into_iter().for_each(warn);
            Ok(())
        };
        self.checked.get_or_try_init(|| check).await.copied()
    }
}

async fn prepared<T>(prepare: impl Future<Output = Result<T, PrepareError>>) -> Result<T, StoreError> {
    prepare.await.map_err(|error| Failure::from(&error).into_store())
}

/// Lets a call take so long at most.
pub(crate) async fn bounded<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::Unavailable { reason: format!("no answer within {} s", limit.as_secs_f32()) }),
    }
}

fn builder(config: &Config) -> Result<SessionBuilder, StoreError> {
    let mut balancing = DefaultPolicy::builder().token_aware(true).permit_dc_failover(false);
    if let Some(datacenter) = &config.datacenter {
        balancing = balancing.prefer_datacenter(datacenter.clone());
    }
    let profile = ExecutionProfile::builder()
        .consistency(config.consistency.write())
        .request_timeout(Some(config.request_timeout))
        .load_balancing_policy(balancing.build())
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(config.nodes.iter().filter_map(|node| node_address(node)))
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(config.connect_timeout)
        .keepalive_interval(KEEPALIVE_INTERVAL)
        .keepalive_timeout(KEEPALIVE_TIMEOUT)
        .schema_agreement_timeout(SCHEMA_AGREEMENT)
        // Token-aware routing needs to know how this keyspace is replicated, and nothing of the others.
        .keyspaces_to_fetch([config.keyspace.clone()])
        // One connection carries 32,768 requests at once; more of them cost processor time and bring nothing.
        .pool_size(PoolSize::PerShard(NonZeroUsize::MIN))
        .compression(config.compression.then_some(Compression::Lz4));
    if let Some(credentials) = &config.credentials {
        builder = builder.user(&credentials.username, &credentials.password);
    }
    if let Some(tls) = &config.tls {
        let context = tls.client_config().map_err(|error| StoreError::Misconfigured { reason: error.to_string() })?;
        builder = builder.tls_context(Some(context));
    }
    Ok(builder)
}
