//! The tables, and why they look as they do.
//!
//! - **Nothing is ever changed.** Every row is immutable: its key holds the whole identity of an entry, and all that is
//!   said of the entry stands in one cell, `kept`, so that a row is seen whole or not at all.
//! - **Told again: no effect.** Every insert bears the write timestamp `published_at` (µs), the same at each telling.
//!   Between cells of the same timestamp both databases keep the one whose bytes are larger. `kept` therefore begins
//!   with `i64::MAX − stored_at`: the earlier a row was stored, the larger, so the first telling stays for ever, with
//!   its `stored_at` and with what the rules of that day made of the event.
//! - **Partitions are bounded.** Rows are spread over time buckets by `occurred_at` ([`crate::address`]) and over
//!   shards within them ([`crate::shards`]), and a directory lists what exists. A directory row is acknowledged before
//!   any row it announces is written.
//! - **Expiry is decided by readers** (`expires_at` in `kept`); no table has a TTL.
//! - Compaction is left at the database's default; operators may change it, and other table options, at will.
//!
//! # Wide while it is quiet, narrow while it is busy
//!
//! An index by table, operation, field, actor, request, transaction or migration may have three entries in five years or
//! a million in an hour, and nobody knows beforehand which. No one width of bucket suits both: hours would cost a
//! directory row and a request for each entry of a quiet one; in thirteen weeks of a busy one there would be 200,000
//! shards to merge. So each has both:
//!
//! - **level 0**: one partition for thirteen weeks. It takes a worker's first 2,000 rows of them: all rows of a quiet
//!   index, which is read with one request for the directory and one for each quarter in which there is something;
//! - **level 1**: hours, and shards in them, for what the same worker writes of that quarter after that. `term_hours` lists
//!   them, with one partition for each quarter: at a million entries an hour for thirteen weeks 7 MB. `term_buckets`,
//!   which has two rows for each quarter at most, tells whether to look there at all.
//!
//! Readers merge the two levels of a quarter. Records keep wide buckets with shards: no record is changed as often as all
//! records of a table are.
//!
//! **Requests and transactions** are new every moment and have a few entries each. To announce each would cost as much as to
//! index its entries, so their level 0 is announced once for all terms of a tenant (in the partition of the empty
//! term), and a reader who gives no times asks in each quarter in which the tenant had any: 20 requests for five years, eight
//! at the same time, most of which a bloom filter answers. Level 1 is announced by term, as ever.

/// Version of the tables below. A database with a higher one was migrated by a later release.
///
/// Version 1 was never released and is refused ([`crate::migrate`]). Its index rows lacked `who` and `record`, which cannot be
/// added to a frozen tuple; a second column beside it could have come from another telling. What changed bears a new
/// name, so that a worker of version 1 that still has a session is refused by the server, whatever it prepared.
pub(crate) const VERSION: i32 = 2;

/// The table that holds the version. Made first, so that its absence means that nothing is there.
pub(crate) const VERSIONS: &str = "schema_versions";

/// Name and definition of each table, in the order of creation.
///
/// All instants are µs since 1970 (`timestamp` has only ms). `position` sorts bytewise as the number does. In index rows
/// `kept` is (inverted `stored_at`, op, position domain, changed names, digest before, digest after, `expires_at`, who,
/// record); who is (actors, request, transaction, migration), null where nothing is known; record is (source, table,
/// record id), of which what the partition key says is null.
pub(crate) const TABLES: [(&str, &str); 10] = [
    (
        VERSIONS,
        "(component text, version int, PRIMARY KEY (component, version)) WITH CLUSTERING ORDER BY (version DESC)",
    ),
    (
        // The content of entries: kept is (inverted stored_at, JSON). Clustered in the order in which versions of one
        // event are preferred (`afterimage_store::version_order`).
        "contents",
        "(tenant text, source text, event_id text, revision bigint, input_digest blob, published_at bigint,
          kept tuple<bigint, text>,
          PRIMARY KEY ((tenant, source, event_id), revision, input_digest, published_at))
         WITH CLUSTERING ORDER BY (revision DESC, input_digest ASC, published_at ASC)",
    ),
    (
        // Newest first is what is asked most.
        "rows_by_record",
        "(tenant text, source text, table_name text, record_id frozen<list<text>>, bucket int, shard int,
          occurred_at bigint, position blob, event_id text, input_digest blob, revision bigint, published_at bigint,
          kept tuple<bigint, text, text, frozen<list<text>>, blob, blob, bigint,
            frozen<tuple<frozen<list<text>>, text, text, text>>, frozen<tuple<text, text, frozen<list<text>>>>>,
          PRIMARY KEY ((tenant, source, table_name, record_id, bucket, shard),
            occurred_at, position, event_id, input_digest, revision, published_at))
         WITH CLUSTERING ORDER BY (occurred_at DESC, position DESC, event_id DESC, input_digest DESC, revision DESC,
           published_at DESC)",
    ),
    (
        // Source is no part of the partition, so that one read tells which sources have a record.
        "record_buckets",
        "(tenant text, table_name text, record_id frozen<list<text>>, source text, bucket int, shard int,
          PRIMARY KEY ((tenant, table_name, record_id), source, bucket, shard))
         WITH CLUSTERING ORDER BY (source ASC, bucket DESC, shard DESC)",
    ),
    (
        // All other indexes. Kind: table, op, field, actor, request, transaction, migration. Bucket: the quarter at level
        // 0, the hour at level 1. The key of a row is unique within a tenant, whatever its record.
        "rows_by_term",
        "(tenant text, kind text, source text, table_name text, term text, level int, bucket int, shard int,
          occurred_at bigint, position blob, event_id text, input_digest blob, revision bigint, published_at bigint,
          kept tuple<bigint, text, text, frozen<list<text>>, blob, blob, bigint,
            frozen<tuple<frozen<list<text>>, text, text, text>>, frozen<tuple<text, text, frozen<list<text>>>>>,
          PRIMARY KEY ((tenant, kind, source, table_name, term, level, bucket, shard),
            occurred_at, position, event_id, input_digest, revision, published_at))
         WITH CLUSTERING ORDER BY (occurred_at DESC, position DESC, event_id DESC, input_digest DESC, revision DESC,
           published_at DESC)",
    ),
    (
        "term_buckets",
        "(tenant text, kind text, source text, table_name text, term text, bucket int, level int,
          PRIMARY KEY ((tenant, kind, source, table_name, term), bucket, level))
         WITH CLUSTERING ORDER BY (bucket DESC, level DESC)",
    ),
    (
        "term_hours",
        "(tenant text, kind text, source text, table_name text, term text, bucket int, hour int, shard int,
          PRIMARY KEY ((tenant, kind, source, table_name, term, bucket), hour, shard))
         WITH CLUSTERING ORDER BY (hour DESC, shard DESC)",
    ),
    ("table_names", "(tenant text, source text, table_name text, PRIMARY KEY ((tenant), source, table_name))"),
    (
        // What arrived, by worker and time of arrival: lets a later reader list what was stored since a point.
        "journal",
        "(worker text, bucket int, shard int, arrived_at bigint, tenant text, source text, event_id text,
          input_digest blob, revision bigint, published_at bigint,
          PRIMARY KEY ((worker, bucket, shard), arrived_at, tenant, source, event_id, input_digest, revision,
            published_at))",
    ),
    ("journal_buckets", "(bucket int, worker text, shard int, PRIMARY KEY ((bucket), worker, shard))"),
];
