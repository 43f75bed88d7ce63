//! The laws that every store keeps, on a real server.
//!
//! All of them share one keyspace, `afterimage_conformance`, and each works in a tenant of its own, new in each run.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;

use std::error::Error;
use std::sync::Arc;

use afterimage_event::RecordKey;
use afterimage_store::conformance::{PartitionCheck, Suite};
use afterimage_store_cassandra::{Config, RowsPerShard};
use common::Keyspace;

/// Small, so that hot records and tables have many shards.
const ROWS: RowsPerShard = RowsPerShard { records: 500, quarters: 600, hours: 700, arrivals: 1_000 };
const HOT_ENTRIES: usize = 6_000;

async fn suite() -> Option<Suite> {
    let keyspace = Keyspace { nodes: common::nodes()?, name: "afterimage_conformance".to_owned() };
    let store = keyspace.store_with(Config { rows_per_shard: ROWS, ..keyspace.config() }).await;
    let keyspace = Arc::new(keyspace);
    let partitions: PartitionCheck = Arc::new(move |record| {
        let keyspace = Arc::clone(&keyspace);
        Box::pin(async move { check_partitions(&keyspace, &record).await.map_err(|error| error.to_string()) })
    });
    Some(Suite::new(store).hot_entries(HOT_ENTRIES).random_rounds(4).partitions(partitions))
}

/// Counts the rows of every partition of this record and of its table. One worker filled them.
async fn check_partitions(keyspace: &Keyspace, record: &RecordKey) -> Result<(), Box<dyn Error + Send + Sync>> {
    let session = keyspace.session().await;
    let RecordKey { tenant, source, table, record_id } = record;
    let select = |columns: &str, table: &str, keys: &[&str]| {
        format!("SELECT {columns} FROM {}.{table} WHERE {} = ?", keyspace.name, keys.join(" = ? AND "))
    };

    let cql = select("bucket, shard", "record_buckets", &["tenant", "table_name", "record_id", "source"]);
    let count = ["tenant", "source", "table_name", "record_id", "bucket", "shard"];
    let count = session.prepare(select("count(*)", "rows_by_record", &count)).await?;
    let places = session.query_unpaged(cql, (tenant, table, record_id, source)).await?.into_rows_result()?;
    let mut total = 0;
    for place in places.rows::<(i32, i32)>()? {
        let (bucket, shard) = place?;
        let rows = session.execute_unpaged(&count, (tenant, source, table, record_id, bucket, shard)).await?;
        total += within(rows.into_rows_result()?.first_row::<(i64,)>()?.0, ROWS.records, bucket, shard)?;
    }
    // A hot table has other records as well.
    if total == 0 {
        return Err("the directory leads to no row of the record".into());
    }

    let key = (tenant, "table", source, table, "");
    let is_term = ["tenant", "kind", "source", "table_name", "term"];
    let buckets = session.query_unpaged(select("bucket, level", "term_buckets", &is_term), key).await?;
    let hours = session.prepare(select("hour, shard", "term_hours", &[&is_term[..], &["bucket"]].concat())).await?;
    let count = [&is_term[..], &["level", "bucket", "shard"]].concat();
    let count = session.prepare(select("count(*)", "rows_by_term", &count)).await?;
    let rows_in = async |level: i32, bucket: i32, shard: i32| -> Result<i64, Box<dyn Error + Send + Sync>> {
        let values = (tenant, "table", source, table, "", level, bucket, shard);
        let rows = session.execute_unpaged(&count, values).await?.into_rows_result()?.first_row::<(i64,)>()?.0;
        Ok(within(rows, [ROWS.quarters, ROWS.hours][level as usize], bucket, shard)?)
    };
    let mut total = 0;
    for place in buckets.into_rows_result()?.rows::<(i32, i32)>()? {
        let (bucket, level) = place?;
        if level == 0 {
            total += rows_in(0, bucket, 0).await?;
            continue;
        }
        let values = (tenant, "table", source, table, "", bucket);
        for place in session.execute_unpaged(&hours, values).await?.into_rows_result()?.rows::<(i32, i32)>()? {
            let (hour, shard) = place?;
            total += rows_in(1, hour, shard).await?;
        }
    }
    if total != HOT_ENTRIES as i64 {
        return Err(format!("the directory leads to {total} rows of the table").into());
    }
    Ok(())
}

fn within(rows: i64, most: u32, bucket: i32, shard: i32) -> Result<i64, String> {
    if rows > i64::from(most) {
        return Err(format!("{rows} rows in bucket {bucket}, shard {shard}: more than {most}"));
    }
    Ok(rows)
}

afterimage_store::conformance_tests!(suite);
