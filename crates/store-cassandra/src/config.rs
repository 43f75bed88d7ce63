//! What an operator decides.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{Consistency, Tls};

/// Port of the native protocol when a node is named without one.
const CQL_PORT: u16 = 9042;

/// Longest keyspace name Cassandra takes: its tables' directories are named after it.
/// <https://cassandra.apache.org/doc/latest/cassandra/developing/cql/ddl.html>
const KEYSPACE_LENGTH_MAX: usize = 48;

/// How to reach the cluster, and how to use it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which of the two it is: names the store in metrics; the queries are the same.
    pub flavor: Flavor,
    /// Some of its nodes, `host` or `host:port`; the driver finds the others.
    pub nodes: Vec<String>,
    /// The keyspace.
    pub keyspace: String,
    /// Creates the keyspace like this on [`migrate`](afterimage_store::Store::migrate) when it is missing. `None`: it
    /// must be there.
    pub replication: Option<Replication>,
    /// The data centre whose nodes are asked. `None` will do in a cluster that has only one.
    pub datacenter: Option<String>,
    /// User name and password, when the cluster wants them.
    pub credentials: Option<Credentials>,
    /// Encryption; `None` sends everything in clear text.
    pub tls: Option<Tls>,
    /// How many replicas must have answered.
    pub consistency: Consistency,
    /// Longest wait for one request, its repetitions included. Keep three of them well below the lease of a message.
    pub request_timeout: Duration,
    /// Longest wait for a new session.
    pub connect_timeout: Duration,
    /// Compress with LZ4 on the wire: less network, more processor time on both sides.
    pub compression: bool,
    /// Requests in flight at most, over all calls.
    pub requests_in_flight_max: usize,
    /// Bytes of requests in flight at most, over all calls; one larger request goes alone.
    pub bytes_in_flight_max: usize,
    /// Largest content of an entry taken. The server refuses mutations above half a commit log segment (16 MiB by
    /// default), and frames above 16 MiB; the index rows need some room too.
    pub content_bytes_max: usize,
    /// Rows after which a worker opens another partition.
    pub rows_per_shard: RowsPerShard,
}

impl Config {
    /// The defaults, for these nodes and this keyspace.
    #[must_use]
    pub fn new(nodes: Vec<String>, keyspace: impl Into<String>) -> Self {
        Self {
            flavor: Flavor::Cassandra,
            nodes,
            keyspace: keyspace.into(),
            replication: None,
            datacenter: None,
            credentials: None,
            tls: None,
            consistency: Consistency::default(),
            request_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            compression: false,
            requests_in_flight_max: 256,
            bytes_in_flight_max: 32 << 20,
            content_bytes_max: 8 << 20,
            rows_per_shard: RowsPerShard::default(),
        }
    }

    /// Finds what can be found wrong without opening anything.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting and what it must be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.nodes.is_empty() {
            return Err(ConfigError::NoNodes);
        }
        if let Some(node) = self.nodes.iter().find(|node| node_address(node).is_none()) {
            return Err(ConfigError::Node(node.clone()));
        }
        let name = self.keyspace.as_bytes();
        let plain = name.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_');
        if !plain || !name.first().is_some_and(u8::is_ascii_lowercase) || name.len() > KEYSPACE_LENGTH_MAX {
            return Err(ConfigError::Keyspace);
        }
        if self.request_timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(ConfigError::Zero("time-out"));
        }
        let rows = self.rows_per_shard;
        if [rows.records, rows.quarters, rows.hours, rows.arrivals].contains(&0) {
            return Err(ConfigError::Zero("number of rows per shard"));
        }
        if self.requests_in_flight_max == 0 || self.bytes_in_flight_max == 0 {
            return Err(ConfigError::Zero("limit of what is in flight"));
        }
        Ok(())
    }
}

/// A node with its port: `host`, `host:port`, `[v6]:port`.
pub(crate) fn node_address(node: &str) -> Option<String> {
    let is_host = |host: &str| !host.is_empty() && !host.contains(char::is_whitespace);
    if let Some((host, port)) = node.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']')) {
        let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
        return is_host(host).then(|| format!("{host}:{port}"));
    }
    if node.contains(':') && !node.starts_with('[') {
        return node.parse::<std::net::Ipv6Addr>().ok().map(|address| format!("[{address}]:{CQL_PORT}"));
    }
    is_host(node).then(|| format!("{node}:{CQL_PORT}"))
}

/// The configuration cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No node given.
    #[error("no Cassandra node given: name at least one, as host or host:port")]
    NoNodes,
    /// A node that is no address.
    #[error("`{0}` is no node: give host or host:port")]
    Node(String),
    /// A keyspace name that would need quoting everywhere else too.
    #[error("the keyspace name must begin with a-z, hold only a-z, 0-9 and _, and have at most 48 characters")]
    Keyspace,
    /// A limit of zero lets nothing pass.
    #[error("the {0} must be above zero")]
    Zero(&'static str),
}

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Apache Cassandra.
    Cassandra,
    /// `ScyllaDB`.
    Scylla,
}

impl Flavor {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Cassandra => "cassandra",
            Self::Scylla => "scylla",
        }
    }
}

/// Who we are to the cluster.
#[derive(Clone)]
pub struct Credentials {
    /// The role.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// How many copies a new keyspace has in each data centre: `NetworkTopologyStrategy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication(BTreeMap<String, u16>);

impl Replication {
    /// The CQL map.
    pub(crate) fn cql(&self) -> String {
        let copies: String = self.0.iter().map(|(datacenter, copies)| format!(", '{datacenter}': {copies}")).collect();
        format!("{{'class': 'NetworkTopologyStrategy'{copies}}}")
    }
}

/// The text is no replication setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give the copies in each data centre, such as `dc1:3` or `dc1:3,dc2:3`")]
pub struct ParseReplicationError;

impl FromStr for Replication {
    type Err = ParseReplicationError;

    /// Reads `dc1:3,dc2:3`.
    fn from_str(text: &str) -> Result<Self, ParseReplicationError> {
        let mut copies_by_datacenter = BTreeMap::new();
        for part in text.split(',') {
            let (datacenter, copies) = part.trim().split_once(':').ok_or(ParseReplicationError)?;
            let copies = copies.trim().parse().ok().filter(|copies| *copies > 0).ok_or(ParseReplicationError)?;
            let datacenter = datacenter.trim();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if datacenter.is_empty() || !datacenter.chars().all(plain) {
                return Err(ParseReplicationError);
            }
            copies_by_datacenter.insert(datacenter.to_owned(), copies);
        }
        Ok(Self(copies_by_datacenter))
    }
}

/// Rows that one worker writes to one partition before it opens the next.
///
/// Workers know nothing of each other and start anew after a restart, so a partition holds at most this number × workers
/// × their restarts within its time bucket: with 20 workers that is some 14 MB for a record or the thirteen weeks of an
/// index and 70 MB for an hour of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsPerShard {
    /// In a record's thirteen weeks.
    pub records: u32,
    /// In the thirteen weeks of any other index (a table, a field, an actor): what follows goes to its hours.
    pub quarters: u32,
    /// In an hour of such an index.
    pub hours: u32,
    /// In a worker's hour of the arrival journal.
    pub arrivals: u32,
}

impl Default for RowsPerShard {
    fn default() -> Self {
        Self { records: 2_000, quarters: 2_000, hours: 10_000, arrivals: 10_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_get_the_port_of_the_native_protocol() {
        assert_eq!(node_address("db1").as_deref(), Some("db1:9042"));
        assert_eq!(node_address("db1:19042").as_deref(), Some("db1:19042"));
        assert_eq!(node_address("::1").as_deref(), Some("[::1]:9042"));
        assert_eq!(node_address("[::1]:7").as_deref(), Some("[::1]:7"));
        for wrong in ["", ":9042", "db1:", "db1:0", "db1:x", "db1:99999", "a b"] {
            assert_eq!(node_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keyspaces_that_could_carry_cql_are_refused() {
        for wrong in ["", "Afterimage", "a-b", "a; drop keyspace b", "\"x\"", "1a", &"a".repeat(49)] {
            let config = Config::new(vec!["db1".to_owned()], wrong);
            assert_eq!(config.validate(), Err(ConfigError::Keyspace), "{wrong}");
        }
        assert_eq!(Config::new(vec!["db1".to_owned()], "afterimage_2").validate(), Ok(()));
        assert_eq!(Config::new(vec![], "afterimage").validate(), Err(ConfigError::NoNodes));
    }

    #[test]
    fn replication_is_read_and_cannot_carry_cql() {
        let replication: Replication = "dc1:3, dc2:2".parse().unwrap();
        assert_eq!(replication.cql(), "{'class': 'NetworkTopologyStrategy', 'dc1': 3, 'dc2': 2}");
        for wrong in ["", "3", "dc1:0", "dc1:x", "dc1:3,", "d'c:3"] {
            assert_eq!(wrong.parse::<Replication>(), Err(ParseReplicationError), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let credentials = Credentials { username: "writer".to_owned(), password: "hunter2".to_owned() };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
