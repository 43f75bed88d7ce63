//! The store's settings, checked: which kind, and everything it needs, read from files where files are named.

use std::path::{Path, PathBuf};
use std::time::Duration;

use afterimage_store_cassandra as cassandra;
use clap::ValueEnum;

use super::{BadConfig, StoreArgs, mounts};

/// Longest password file that is read.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

/// Kinds of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreKind {
    /// One file on this machine.
    Sqlite,
    /// Apache Cassandra.
    Cassandra,
    // Help shows this line as it stands.
    #[allow(clippy::doc_markdown, reason = "back-quotes would be shown in the help")]
    /// ScyllaDB.
    Scylla,
    /// MongoDB (not in this build yet).
    Mongodb,
}

/// A store that can be opened.
#[derive(Clone, Debug)]
pub(crate) enum StoreConfig {
    /// One file on this machine.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// Apache Cassandra or `ScyllaDB`.
    Cassandra(Box<cassandra::Config>),
}

impl StoreConfig {
    /// Reads and checks the settings. `is_chosen`: was the kind of store named, or is it the default?
    pub(super) fn new(args: &StoreArgs, is_chosen: bool, warnings: &mut Vec<String>) -> Result<Self, BadConfig> {
        match args.store {
            StoreKind::Mongodb => Err(BadConfig::at("--store", "mongodb is not in this build yet")),
            StoreKind::Sqlite if !is_chosen && !args.cassandra_nodes.is_empty() => Err(BadConfig::at(
                "--cassandra-nodes",
                "is set, but the store is sqlite because --store is not; set it to cassandra, scylla or sqlite",
            )),
            StoreKind::Sqlite if args.sqlite_path.as_os_str().is_empty() || args.sqlite_path.is_dir() => {
                Err(BadConfig::at("--sqlite-path", "must name a file, not a folder"))
            }
            StoreKind::Sqlite => {
                let folder = args.sqlite_path.parent().filter(|folder| !folder.as_os_str().is_empty());
                if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                    return Err(BadConfig::at("--sqlite-path", format!("there is no folder {}", folder.display())));
                }
                if let Some(kind) = mounts::network_kind(&args.sqlite_path) {
                    warnings.push(format!(
                        "--sqlite-path lies on a network file system ({kind}), where SQLite's locks do not hold: a crash \
                         or a second process may damage the file"
                    ));
                }
                Ok(Self::Sqlite { path: args.sqlite_path.clone() })
            }
            StoreKind::Cassandra => cassandra_config(args, cassandra::Flavor::Cassandra, warnings),
            StoreKind::Scylla => cassandra_config(args, cassandra::Flavor::Scylla, warnings),
        }
    }

    /// What limits a call of this store, and the longest that storing a group of entries may take by it.
    pub(super) fn longest_call(&self) -> (&'static str, Duration) {
        match self {
            Self::Sqlite { .. } => ("the longest wait for SQLite's lock", SQLITE_BUSY_TIMEOUT),
            Self::Cassandra(config) => ("three times --cassandra-request-timeout", 3 * config.request_timeout),
        }
    }
}

/// As the SQLite store has it.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

fn cassandra_config(
    args: &StoreArgs,
    flavor: cassandra::Flavor,
    warnings: &mut Vec<String>,
) -> Result<StoreConfig, BadConfig> {
    both("--cassandra-username", &args.cassandra_username, "--cassandra-password-file", &args.cassandra_password_file)?;
    both("--cassandra-tls-cert", &args.cassandra_tls_cert, "--cassandra-tls-key", &args.cassandra_tls_key)?;
    for (flag, is_set) in [
        ("--cassandra-tls-cert", args.cassandra_tls_cert.is_some()),
        ("--cassandra-tls-server-name", args.cassandra_tls_server_name.is_some()),
    ] {
        if is_set && args.cassandra_tls_ca.is_none() {
            return Err(BadConfig::at(flag, "needs --cassandra-tls-ca, which turns TLS on"));
        }
    }
    let mut config = cassandra::Config::new(args.cassandra_nodes.clone(), args.cassandra_keyspace.clone());
    config.flavor = flavor;
    config.datacenter = args.cassandra_datacenter.clone();
    config.replication = args.cassandra_replication.clone();
    config.consistency = args.cassandra_consistency;
    config.request_timeout = args.cassandra_request_timeout;
    if let (Some(username), Some(path)) = (&args.cassandra_username, &args.cassandra_password_file) {
        let password = secret_file("--cassandra-password-file", path, PASSWORD_BYTES_MAX)?;
        let password = String::from_utf8(password.trim_ascii_end().to_vec())
            .map_err(|_| BadConfig::at("--cassandra-password-file", format!("{} is not UTF-8", path.display())))?;
        config.credentials = Some(cassandra::Credentials { username: username.clone(), password });
        if args.cassandra_tls_ca.is_none() {
            warnings.push("the Cassandra password travels in clear text: set --cassandra-tls-ca".to_owned());
        }
    }
    if let Some(ca_file) = &args.cassandra_tls_ca {
        readable("--cassandra-tls-ca", ca_file)?;
        let identity = args.cassandra_tls_cert.clone().zip(args.cassandra_tls_key.clone());
        if let Some((chain, key)) = &identity {
            readable("--cassandra-tls-cert", chain)?;
            readable("--cassandra-tls-key", key)?;
        }
        let server_name = args.cassandra_tls_server_name.clone();
        let tls = cassandra::Tls { ca_file: ca_file.clone(), identity, server_name };
        tls.check().map_err(|error| BadConfig::at(tls_flag_of(&error, &tls), error))?;
        config.tls = Some(tls);
    }
    config.validate().map_err(|error| BadConfig::at(flag_of(&error), error))?;
    Ok(StoreConfig::Cassandra(Box::new(config)))
}

fn flag_of(error: &cassandra::ConfigError) -> &'static str {
    match error {
        cassandra::ConfigError::NoNodes | cassandra::ConfigError::Node(_) => "--cassandra-nodes",
        cassandra::ConfigError::Keyspace => "--cassandra-keyspace",
        _ => "--cassandra-request-timeout",
    }
}

fn tls_flag_of(error: &cassandra::TlsError, tls: &cassandra::Tls) -> &'static str {
    let of_file = |path: &Path| match &tls.identity {
        Some((chain, _)) if path == chain => "--cassandra-tls-cert",
        Some((_, key)) if path == key => "--cassandra-tls-key",
        _ => "--cassandra-tls-ca",
    };
    match error {
        cassandra::TlsError::File { path, .. } | cassandra::TlsError::Empty { path } => of_file(path),
        cassandra::TlsError::Identity { .. } => "--cassandra-tls-key",
        cassandra::TlsError::ServerName(_) => "--cassandra-tls-server-name",
        _ => "--cassandra-tls-ca",
    }
}

fn both<A, B>(a_name: &str, a: &Option<A>, b_name: &str, b: &Option<B>) -> Result<(), BadConfig> {
    match (a, b) {
        (Some(_), None) => Err(BadConfig::at(a_name, format!("needs {b_name} beside it"))),
        (None, Some(_)) => Err(BadConfig::at(b_name, format!("needs {a_name} beside it"))),
        _ => Ok(()),
    }
}

/// The content of a small file that holds a secret.
pub(super) fn secret_file(flag: &str, path: &Path, bytes_max: u64) -> Result<Vec<u8>, BadConfig> {
    let fail = |problem: String| BadConfig::at(flag, format!("{}: {problem}", path.display()));
    let bytes = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?.len();
    if bytes > bytes_max {
        return Err(fail(format!("{bytes} bytes, at most {bytes_max} are read")));
    }
    std::fs::read(path).map_err(|error| fail(error.to_string()))
}

fn readable(flag: &str, path: &Path) -> Result<(), BadConfig> {
    std::fs::File::open(path).map(drop).map_err(|error| BadConfig::at(flag, format!("{}: {error}", path.display())))
}
