//! The tables, and why they look as they do.
//!
//! - **Nothing is ever changed.** Every row is immutable: its key holds the whole identity of an entry, and all that is
//!   said of the entry stands in one cell, `kept`, so that a row is seen whole or not at all.
//! - **Told again: no effect.** Every insert bears the write timestamp `published_at` (µs), the same at each telling.
//!   Between cells of the same timestamp both databases keep the one whose bytes are larger. `kept` therefore begins
//!   with `i64::MAX − stored_at`: the earlier a row was stored, the larger, so the first telling stays for ever, with
//!   its `stored_at` and with what the rules of that day made of the event.
//! - **Partitions are bounded.** Rows are spread over time buckets by `occurred_at` ([`crate::address`]) and over
//!   shards within them ([`crate::shards`]). `record_buckets`, `table_days`, `table_buckets` and `journal_buckets` are
//!   the directory of those that exist. A directory row is acknowledged before any row it announces is written.
//! - **Expiry is decided by readers** (`expires_at` in `kept`); no table has a TTL.
//! - Compaction is left at the database's default; operators may change it, and other table options, at will.

/// Version of the tables below. A database with a higher one was migrated by a later release.
pub(crate) const VERSION: i32 = 1;

/// The table that holds the version. Made first, so that its absence means that nothing is there.
pub(crate) const VERSIONS: &str = "schema_versions";

/// Name and definition of each table, in the order of creation.
///
/// All instants are µs since 1970 (`timestamp` has only ms). `position` sorts bytewise as the number does. In the index
/// tables `kept` is (inverted `stored_at`, op, position domain, changed names, digest before, digest after, `expires_at`).
pub(crate) const TABLES: [(&str, &str); 9] = [
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
        "record_rows",
        "(tenant text, source text, table_name text, record_id frozen<list<text>>, bucket int, shard int,
          occurred_at bigint, position blob, event_id text, input_digest blob, revision bigint, published_at bigint,
          kept tuple<bigint, text, text, frozen<list<text>>, blob, blob, bigint>,
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
        "table_rows",
        "(tenant text, source text, table_name text, bucket int, shard int,
          occurred_at bigint, position blob, event_id text, input_digest blob, revision bigint, published_at bigint,
          record_id frozen<list<text>>,
          kept tuple<bigint, text, text, frozen<list<text>>, blob, blob, bigint>,
          PRIMARY KEY ((tenant, source, table_name, bucket, shard),
            occurred_at, position, event_id, input_digest, revision, published_at, record_id))
         WITH CLUSTERING ORDER BY (occurred_at DESC, position DESC, event_id DESC, input_digest DESC, revision DESC,
           published_at DESC, record_id DESC)",
    ),
    (
        // A busy table has thousands of buckets and shards: its directory has one partition a day, and a directory.
        "table_days",
        "(tenant text, source text, table_name text, day int, PRIMARY KEY ((tenant, source, table_name), day))
         WITH CLUSTERING ORDER BY (day DESC)",
    ),
    (
        "table_buckets",
        "(tenant text, source text, table_name text, day int, bucket int, shard int,
          PRIMARY KEY ((tenant, source, table_name, day), bucket, shard))
         WITH CLUSTERING ORDER BY (bucket DESC, shard DESC)",
    ),
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
