//! The schema: looking at its version, and making it.

use std::collections::HashSet;
use std::time::Duration;

use afterimage_store::StoreError;
use scylla::client::session::Session;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::serialize::row::SerializeRow;
use scylla::statement::unprepared::Statement;

use crate::Config;
use crate::errors::Failure;
use crate::schema::{TABLES, VERSION, VERSIONS};

/// Longest wait for one step: creating a table takes seconds on a busy cluster.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before the steps are taken again.
const STEP_PAUSE: Duration = Duration::from_millis(250);
/// Longest wait for all of them.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(180);

/// Whose version it is.
const COMPONENT: &str = "afterimage";

/// Can this release use what is there? One request, where it can.
pub(crate) async fn check(session: &Session, config: &Config) -> Result<(), StoreError> {
    let keyspace = &config.keyspace;
    let misconfigured = |reason| Err(StoreError::Misconfigured { reason });
    match version(session, config).await {
        Ok(Some(VERSION)) => Ok(()),
        Ok(Some(other)) => misconfigured(other_schema(keyspace, other)),
        Ok(None) => {
            misconfigured(format!("the schema in keyspace {keyspace} is not complete: run `afterimage migrate`"))
        }
        Err(Failed::Driver(failure @ Failure::Connection(_))) => Err(failure.into_store()),
        // It was answered, and the tables of the system tell what it lacks in plainer words.
        Err(failed) => {
            if !keyspace_exists(session, config).await? {
                return misconfigured(format!(
                    "keyspace {keyspace} does not exist: create it, or run `afterimage migrate --cassandra-replication {}`",
                    example(config)
                ));
            }
            if !tables(session, config).await?.contains(VERSIONS) {
                return misconfigured(format!("keyspace {keyspace} has no tables of ours: run `afterimage migrate`"));
            }
            Err(failed.into())
        }
    }
}

/// How copies are asked for: three in the data centre that is asked.
fn example(config: &Config) -> String {
    format!("{}:3", config.datacenter.as_deref().unwrap_or("datacenter1"))
}

fn other_schema(keyspace: &str, version: i32) -> String {
    if version > VERSION {
        return format!(
            "the schema in keyspace {keyspace} has version {version}, this release knows only {VERSION}: \
             use the release that migrated it, or a later one"
        );
    }
    format!(
        "the schema in keyspace {keyspace} has version {version}, which was never released and is not brought forward to \
         {VERSION}: give the name of another keyspace, or drop this one, and run `afterimage migrate`"
    )
}

/// Makes what is missing; returns what it did.
pub(crate) async fn migrate(session: &Session, config: &Config) -> Result<Vec<String>, StoreError> {
    let late = || StoreError::Unavailable { reason: "the schema was not agreed on in time: run it again".to_owned() };
    let mut done = Vec::new();
    let run = async {
        loop {
            match steps(session, config, &mut done).await {
                Ok(()) => return Ok(()),
                // What another worker has just made stands in the system tables a moment before it can be used.
                Err(Failed::Driver(Failure::Missing)) => tokio::time::sleep(STEP_PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    };
    match tokio::time::timeout(MIGRATE_TIMEOUT, run).await {
        Ok(result) => result.map(|()| done),
        Err(_) => Err(late()),
    }
}

/// Every step may be taken again.
async fn steps(session: &Session, config: &Config, done: &mut Vec<String>) -> Result<(), Failed> {
    let keyspace = &config.keyspace;
    if !keyspace_exists(session, config).await? {
        let Some(replication) = &config.replication else {
            return Err(Failed::misconfigured(format!(
                "keyspace {keyspace} does not exist: create it, or give --cassandra-replication, such as {}",
                example(config)
            )));
        };
        let replication = replication.cql();
        ddl(session, format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")).await?;
        done.push(format!("created keyspace {keyspace} with replication {replication}"));
    }
    let present = tables(session, config).await?;
    if present.contains(VERSIONS)
        && let Some(other) = version(session, config).await?.filter(|version| *version != VERSION)
    {
        return Err(Failed::misconfigured(other_schema(keyspace, other)));
    }
    for (table, definition) in TABLES {
        if !present.contains(table) {
            ddl(session, format!("CREATE TABLE IF NOT EXISTS {keyspace}.{table} {definition}")).await?;
            done.push(format!("created table {keyspace}.{table}"));
        }
    }
    // Also when another worker made them all: nobody may use a table that some node does not know yet.
    session
        .await_schema_agreement()
        .await
        .map_err(|error| Failure::Transient(format!("the nodes do not agree on the schema: {error}")))?;
    if version(session, config).await? != Some(VERSION) {
        // Written last: what bears the version is complete.
        let mut insert =
            Statement::new(format!("INSERT INTO {keyspace}.{VERSIONS} (component, version) VALUES (?, ?)"));
        insert.set_consistency(config.consistency.write());
        insert.set_is_idempotent(true);
        run(session, insert, (COMPONENT, VERSION)).await?;
        done.push(format!("schema version {VERSION}"));
    }
    // The driver learns of a new keyspace's replication only now and then by itself.
    session.refresh_metadata().await.map_err(|error| Failure::from(&error))?;
    Ok(())
}

/// Why a step was not taken.
enum Failed {
    Driver(Failure),
    Store(StoreError),
}

impl Failed {
    fn misconfigured(reason: String) -> Self {
        Self::Store(StoreError::Misconfigured { reason })
    }

    fn damaged(reason: String) -> Self {
        Self::Store(StoreError::Damaged { reason })
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::Driver(failure)
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Driver(failure) => failure.into_store(),
            Failed::Store(error) => error,
        }
    }
}

/// Sends a schema change to one node, the same for every worker: nodes that create one table at the same time would
/// give it two ids, and IF NOT EXISTS is only kept by the node that executes it.
async fn ddl(session: &Session, cql: String) -> Result<(), Failed> {
    let state = session.get_cluster_state();
    let mut statement = Statement::new(cql);
    let first = state.get_nodes_info().iter().filter(|node| node.is_connected()).min_by_key(|node| node.host_id);
    if let Some(node) = first {
        let policy = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::HostId(node.host_id), None);
        statement.set_load_balancing_policy(Some(policy));
    }
    statement.set_request_timeout(Some(STEP_TIMEOUT));
    run(session, statement, ()).await.map(|_| ())
}

async fn keyspace_exists(session: &Session, config: &Config) -> Result<bool, Failed> {
    let cql = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    Ok(!names(session, cql, config).await?.is_empty())
}

async fn tables(session: &Session, config: &Config) -> Result<HashSet<String>, Failed> {
    names(session, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", config).await
}

async fn names(session: &Session, cql: &str, config: &Config) -> Result<HashSet<String>, Failed> {
    let rows = rows(session, Statement::new(cql), (config.keyspace.as_str(),)).await?;
    let damaged = |error: &dyn std::fmt::Display| Failed::damaged(format!("system_schema: {error}"));
    let names = rows.rows::<(String,)>().map_err(|error| damaged(&error))?;
    names.map(|row| row.map(|(name,)| name).map_err(|error| damaged(&error))).collect()
}

async fn version(session: &Session, config: &Config) -> Result<Option<i32>, Failed> {
    // Without values there is nothing to prepare, which would be a request of its own.
    let cql = format!("SELECT version FROM {}.{VERSIONS} WHERE component = '{COMPONENT}' LIMIT 1", config.keyspace);
    let mut select = Statement::new(cql);
    select.set_consistency(config.consistency.read());
    let rows = rows(session, select, ()).await?;
    let row = rows.maybe_first_row::<(i32,)>().map_err(|error| Failed::damaged(format!("{VERSIONS}: {error}")))?;
    Ok(row.map(|(version,)| version))
}

/// Runs a query; the driver prepares it first when it has values.
async fn run(session: &Session, statement: Statement, values: impl SerializeRow) -> Result<QueryResult, Failed> {
    session.query_unpaged(statement, values).await.map_err(|error| Failed::Driver((&error).into()))
}

async fn rows(session: &Session, select: Statement, values: impl SerializeRow) -> Result<QueryRowsResult, Failed> {
    let result = run(session, select, values).await?.into_rows_result();
    result.map_err(|error| Failed::damaged(format!("expected rows: {error}")))
}
