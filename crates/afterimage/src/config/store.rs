//! The store's settings, checked: which kind, and everything it needs, read from files where files are named.

use std::path::{Path, PathBuf};
use std::time::Duration;

use afterimage_store_cassandra as cassandra;
use afterimage_store_mongodb as mongodb;
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
    #[allow(clippy::doc_markdown, reason = "back-quotes would be shown in the help")]
    /// MongoDB, or Amazon DocumentDB.
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
    /// MongoDB or Amazon `DocumentDB`.
    Mongodb(Box<mongodb::Config>),
}

impl StoreConfig {
    /// Reads and checks the settings. `is_chosen`: was the kind of store named, or is it the default?
    pub(super) fn new(args: &StoreArgs, is_chosen: bool, warnings: &mut Vec<String>) -> Result<Self, BadConfig> {
        match args.store {
            StoreKind::Sqlite if !is_chosen && !args.cassandra_nodes.is_empty() => Err(BadConfig::at(
                "--cassandra-nodes",
                "is set, but the store is sqlite because --store is not; set it to cassandra, scylla or sqlite",
            )),
            StoreKind::Sqlite if !is_chosen && args.mongodb_uri.is_some() => Err(BadConfig::at(
                "--mongodb-uri",
                "is set, but the store is sqlite because --store is not; set it to mongodb or sqlite",
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
            StoreKind::Mongodb => mongodb_config(args, warnings),
        }
    }

    /// What limits a call of this store, and the longest that storing a group of entries may take by it.
    pub(super) fn longest_call(&self) -> (&'static str, Duration) {
        match self {
            Self::Sqlite { .. } => ("the longest wait for SQLite's lock", SQLITE_BUSY_TIMEOUT),
            Self::Cassandra(config) => ("three times --cassandra-request-timeout", 3 * config.request_timeout),
            Self::Mongodb(config) => ("three times --mongodb-request-timeout", 3 * config.request_timeout),
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
        let password = password_file("--cassandra-password-file", path)?;
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

fn mongodb_config(args: &StoreArgs, warnings: &mut Vec<String>) -> Result<StoreConfig, BadConfig> {
    let (username, password_file) = (&args.mongodb_username, &args.mongodb_password_file);
    both("--mongodb-username", username, "--mongodb-password-file", password_file)?;
    let Some(uri) = &args.mongodb_uri else {
        return Err(BadConfig::at("--mongodb-uri", "must be given, such as mongodb://db1,db2,db3/?replicaSet=rs0"));
    };
    let mut config = mongodb::Config::new(uri.clone(), args.mongodb_database.clone());
    config.retry_writes = args.mongodb_retry_writes;
    config.request_timeout = args.mongodb_request_timeout;
    config.credentials = match (args.mongodb_auth, username, password_file) {
        (Some(mongodb::Authentication::X509), Some(_), _) => {
            return Err(BadConfig::at("--mongodb-username", "is not used with x509: the certificate says who we are"));
        }
        (Some(mongodb::Authentication::X509), ..) => Some(mongodb::Credentials::X509),
        (_, Some(username), Some(path)) => Some(mongodb::Credentials::Password {
            username: username.clone(),
            password: self::password_file("--mongodb-password-file", path)?,
            auth_database: args.mongodb_auth_database.clone(),
        }),
        (Some(mongodb::Authentication::Scram), ..) => {
            return Err(BadConfig::at("--mongodb-auth", "scram needs --mongodb-username and --mongodb-password-file"));
        }
        _ => None,
    };
    let tls = mongodb::Tls { ca_file: args.mongodb_tls_ca.clone(), identity_file: args.mongodb_tls_cert_key.clone() };
    if tls.ca_file.is_some() || tls.identity_file.is_some() {
        tls.check().map_err(|error| {
            let is_ca = tls.ca_file.as_deref() == Some(error.path());
            BadConfig::at(if is_ca { "--mongodb-tls-ca" } else { "--mongodb-tls-cert-key" }, error)
        })?;
        config.tls = Some(tls);
    }
    config.validate().map_err(|error| {
        let flag = match &error {
            mongodb::ConfigError::Database => "--mongodb-database",
            mongodb::ConfigError::Timeout => "--mongodb-request-timeout",
            mongodb::ConfigError::X509 => "--mongodb-tls-cert-key",
            _ => "--mongodb-uri",
        };
        BadConfig::at(flag, error)
    })?;
    warnings.extend(config.warnings());
    Ok(StoreConfig::Mongodb(Box::new(config)))
}

fn both<A, B>(a_name: &str, a: &Option<A>, b_name: &str, b: &Option<B>) -> Result<(), BadConfig> {
    match (a, b) {
        (Some(_), None) => Err(BadConfig::at(a_name, format!("needs {b_name} beside it"))),
        (None, Some(_)) => Err(BadConfig::at(b_name, format!("needs {a_name} beside it"))),
        _ => Ok(()),
    }
}

/// The password in a file, without the white space at its end.
fn password_file(flag: &str, path: &Path) -> Result<String, BadConfig> {
    let password = secret_file(flag, path, PASSWORD_BYTES_MAX)?;
    String::from_utf8(password.trim_ascii_end().to_vec())
        .map_err(|_| BadConfig::at(flag, format!("{} is not UTF-8", path.display())))
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
