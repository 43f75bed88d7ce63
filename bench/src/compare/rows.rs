//! How many rows a store has.

use std::path::Path;

use anyhow::Context as _;
use rusqlite::Connection;
use scylla::client::session_builder::SessionBuilder;

/// All rows of a SQLite file.
pub(super) fn in_sqlite(file: &Path) -> anyhow::Result<u64> {
    let connection = Connection::open(file)?;
    let mut names = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let count = |name: &String| -> anyhow::Result<u64> {
        let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0))?;
        Ok(rows as u64)
    };
    names.iter().map(count).sum()
}

/// All rows of a Cassandra keyspace; for small ones.
pub(super) async fn in_cassandra(nodes: &str, keyspace: &str) -> anyhow::Result<u64> {
    let session = SessionBuilder::new().known_nodes(nodes.split(',')).build().await?;
    let tables = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
    let tables = session.query_unpaged(tables, (keyspace,)).await?.into_rows_result()?;
    let mut total = 0;
    for row in tables.rows::<(String,)>()? {
        let (table,) = row?;
        let count = session.query_unpaged(format!("SELECT count(*) FROM {keyspace}.{table}"), ()).await?;
        let (rows,) = count.into_rows_result()?.single_row::<(i64,)>().context("a count has one row")?;
        total += rows as u64;
    }
    Ok(total)
}

/// Removes a keyspace.
pub(super) async fn drop_keyspace(nodes: &str, keyspace: &str) -> anyhow::Result<()> {
    let session = SessionBuilder::new().known_nodes(nodes.split(',')).build().await?;
    session.query_unpaged(format!("DROP KEYSPACE IF EXISTS {keyspace}"), ()).await?;
    Ok(())
}
