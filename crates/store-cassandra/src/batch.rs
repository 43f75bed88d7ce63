//! Which rows travel together.
//!
//! A request costs a client some ten microseconds and an index row has some two hundred bytes, so rows share requests:
//! - rows of one partition: the server applies them as one mutation, so such a batch costs no more than one row;
//! - rows of several partitions, only when the same replicas hold them all, and never more than the servers tolerate
//!   without warning: then the coordinator passes on what it would have to pass on anyway.

use std::collections::HashMap;

use crate::rows::Row;
use crate::shards::BucketId;

/// Partitions in one unlogged batch before Cassandra warns: `unlogged_batch_across_partitions_warn_threshold`.
/// <https://cassandra.apache.org/doc/latest/cassandra/managing/configuration/cass_yaml_file.html>
const PARTITIONS_MAX: usize = 10;
/// Bytes of a batch over several partitions before Cassandra warns: `batch_size_warn_threshold`.
const MIXED_BYTES_MAX: usize = 5 * 1024;
/// Bytes of a batch within one partition. Cassandra sets none; `ScyllaDB` warns at 128 KiB
/// (`batch_size_warn_threshold_in_kb`).
const SINGLE_BYTES_MAX: usize = 32 * 1024;

/// Rows of one request, by their place in the list they came in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) rows: Vec<usize>,
    pub(crate) bytes: usize,
}

/// Rows of one partition so far.
#[derive(Default)]
struct Open {
    group: Group,
    partitions: usize,
}

/// Groups rows into requests. `replicas` names the set of nodes that hold a row.
pub(crate) fn group(rows: &[Row<'_>], replicas: impl Fn(&Row<'_>) -> u64) -> Vec<Group> {
    let mut done = Vec::with_capacity(rows.len() / 4 + 1);
    let mut partitions: Vec<Group> = Vec::with_capacity(rows.len());
    let mut partition_of: HashMap<(BucketId, i32), usize> = HashMap::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let bytes = row.bytes();
        let place = match row.partition {
            Some(partition) => *partition_of.entry(partition).or_insert(partitions.len()),
            None => partitions.len(),
        };
        if place == partitions.len() {
            partitions.push(Group::default());
        }
        let partition = &mut partitions[place];
        if partition.bytes + bytes > SINGLE_BYTES_MAX && !partition.rows.is_empty() {
            done.push(std::mem::take(partition));
        }
        partition.rows.push(index);
        partition.bytes += bytes;
    }
    let mut open_by_replicas: HashMap<u64, Open> = HashMap::new();
    for partition in partitions {
        if partition.bytes > MIXED_BYTES_MAX / 2 {
            done.push(partition);
            continue;
        }
        let open = open_by_replicas.entry(replicas(&rows[partition.rows[0]])).or_default();
        if open.partitions == PARTITIONS_MAX || open.group.bytes + partition.bytes > MIXED_BYTES_MAX {
            done.push(std::mem::take(&mut open.group));
            open.partitions = 0;
        }
        open.group.rows.extend(partition.rows);
        open.group.bytes += partition.bytes;
        open.partitions += 1;
    }
    done.extend(open_by_replicas.into_values().map(|open| open.group));
    done
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rows::Kind;
    use crate::shards::Namer;
    use crate::test_entries::{arrival, entry};

    /// Rows of `records` records with `each` rows each; the name of the set of replicas is the record modulo `sets`.
    fn check(records: usize, each: usize, sets: usize, content_bytes: Option<usize>) -> Vec<Group> {
        let (namer, arrival) = (Namer::new(), arrival());
        let mut entries: Vec<_> = (0..records * each).map(|n| entry(&format!("r{}", n % records), n)).collect();
        if let Some(bytes) = content_bytes {
            entries.iter_mut().for_each(|entry| entry.content = "x".repeat(bytes));
        }
        let set = |record: &str| record[1..].parse::<usize>().unwrap() % sets;
        let rows: Vec<Row<'_>> = entries
            .iter()
            .map(|entry| Row {
                kind: if content_bytes.is_some() { Kind::Entry } else { Kind::Record },
                entry,
                arrival: &arrival,
                shard: 0,
                partition: content_bytes.is_none().then(|| (namer.name(&entry.record.record_id), 0)),
            })
            .collect();
        let groups = group(&rows, |row| set(&row.entry.record.record_id[0]) as u64);

        let mut seen: Vec<usize> = groups.iter().flat_map(|group| group.rows.clone()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..rows.len()).collect::<Vec<_>>(), "every row travels once");
        for group in &groups {
            assert_eq!(group.bytes, group.rows.iter().map(|row| rows[*row].bytes()).sum::<usize>());
            let partitions: BTreeSet<_> = group
                .rows
                .iter()
                .map(|row| match rows[*row].partition {
                    Some(partition) => format!("{partition:?}"),
                    None => rows[*row].entry.identity.event_id.clone(),
                })
                .collect();
            let replicas: BTreeSet<_> = group.rows.iter().map(|row| set(&entries[*row].record.record_id[0])).collect();
            if partitions.len() > 1 {
                assert!(partitions.len() <= PARTITIONS_MAX && group.bytes <= MIXED_BYTES_MAX);
                assert_eq!(replicas.len(), 1, "rows of one batch live on the same nodes");
            } else {
                assert!(group.bytes <= SINGLE_BYTES_MAX || group.rows.len() == 1);
            }
        }
        groups
    }

    #[test]
    fn rows_share_requests_within_the_servers_limits() {
        assert_eq!(check(1, 50, 1, None).len(), 1);
        assert!(check(1, 1_000, 1, None).len() < 20);
        assert!(check(200, 1, 1, None).len() <= 25);
        check(200, 3, 7, None);
        assert_eq!(check(3, 1, 3, None).len(), 3);
        assert_eq!(check(4, 1, 1, Some(3_000)).len(), 4);
        assert_eq!(check(4, 1, 1, Some(1_000)).len(), 1);
        assert_eq!(check(2, 1, 1, Some(1_000_000)).len(), 2);
        assert!(check(0, 0, 1, None).is_empty());
    }
}
