//! What an operator decides.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mongodb::options::{
    Acknowledgment, AuthMechanism, ConnectionString, Credential, ReadConcernLevel, ReadPreference, Tls as DriverTls,
};

use crate::Tls;

/// Longest name of a database. <https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-Length-of-Database-Names>
const DATABASE_LENGTH_MAX: usize = 63;

/// How to reach the servers, and how to use them.
#[derive(Clone)]
pub struct Config {
    /// Connection string: `mongodb://` or `mongodb+srv://`.
    /// <https://www.mongodb.com/docs/manual/reference/connection-string/>
    pub uri: String,
    /// The database that holds the trail.
    pub database: String,
    /// Who we are, where the URI does not say it.
    pub credentials: Option<Credentials>,
    /// Encryption, where the URI says no more than that there is any.
    pub tls: Option<Tls>,
    /// Has the driver repeat a write whose answer was lost? `None`: as the URI says, else yes. Amazon `DocumentDB` before
    /// 8.0.2 needs no. Nothing is lost or doubled either way: the trail repeats its writes itself.
    pub retry_writes: Option<bool>,
    /// Longest wait for one request. Keep three of them well below the lease of a message.
    pub request_timeout: Duration,
}

impl Config {
    /// The defaults, for this URI and this database.
    #[must_use]
    pub fn new(uri: impl Into<String>, database: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            database: database.into(),
            credentials: None,
            tls: None,
            retry_writes: None,
            request_timeout: Duration::from_secs(5),
        }
    }

    /// Finds what can be found wrong without opening anything, the name server included.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting and what it must be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let uri = ConnectionString::parse(&self.uri).map_err(|error| ConfigError::Uri(without_secrets(&error)))?;
        check_guarantees(&uri)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name = &self.database;
        if name.is_empty() || name.len() > DATABASE_LENGTH_MAX || !name.chars().all(plain) {
            return Err(ConfigError::Database);
        }
        if self.request_timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        if self.credentials.is_some() && uri.credential.is_some() {
            return Err(ConfigError::Twice("a user or an authentication mechanism"));
        }
        let is_said = match &uri.tls {
            Some(DriverTls::Enabled(tls)) => tls.ca_file_path.is_some() || tls.cert_key_file_path.is_some(),
            Some(DriverTls::Disabled) => true,
            None => false,
        };
        if self.tls.is_some() && is_said {
            return Err(ConfigError::Twice("TLS files, or turns TLS off"));
        }
        let is_encrypted = self.tls.is_some() || matches!(uri.tls, Some(DriverTls::Enabled(_)));
        let mechanism = self.credentials.as_ref().map(|credentials| credentials.mechanism());
        let is_x509 = |mechanism: &Option<AuthMechanism>| *mechanism == Some(AuthMechanism::MongoDbX509);
        let has_identity = match (&self.tls, &uri.tls) {
            (Some(tls), _) => tls.identity_file.is_some(),
            (None, Some(DriverTls::Enabled(tls))) => tls.cert_key_file_path.is_some(),
            _ => false,
        };
        let of_uri = uri.credential.as_ref().map(|credential| credential.mechanism.clone());
        if mechanism.or(of_uri).is_some_and(|mechanism| is_x509(&mechanism)) && !(is_encrypted && has_identity) {
            return Err(ConfigError::X509);
        }
        Ok(())
    }

    /// What works, but should not be relied on, as far as the settings tell: one line for each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let Ok(uri) = ConnectionString::parse(&self.uri) else { return warnings };
        let mut is_encrypted = self.tls.is_some();
        if let Some(DriverTls::Enabled(tls)) = &uri.tls {
            is_encrypted = true;
            if tls.allow_invalid_certificates == Some(true) {
                warnings.push(
                    "the MongoDB URI allows invalid certificates: anybody on the way can read and change the trail"
                        .to_owned(),
                );
            }
        }
        // Names of the SRV form turn TLS on.
        is_encrypted |= self.uri.starts_with("mongodb+srv://") && uri.tls.is_none();
        let has_user = self.credentials.is_some() || uri.credential.is_some();
        if has_user && !is_encrypted {
            warnings.push("the trail travels to MongoDB in clear text: set --mongodb-tls-ca".to_owned());
        }
        warnings
    }
}

impl fmt::Debug for Config {
    /// Never shows the URI, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("database", &self.database).finish_non_exhaustive()
    }
}

/// An entry is durable when a majority has it in its journal, and a read sees it when it asks the primary for what a
/// majority has. A URI that says otherwise is refused: nobody should find out later.
fn check_guarantees(uri: &ConnectionString) -> Result<(), ConfigError> {
    if let Some(write) = &uri.write_concern {
        if write.w.as_ref().is_some_and(|w| *w != Acknowledgment::Majority) {
            return Err(ConfigError::Weaker("w", "majority"));
        }
        if write.journal == Some(false) {
            return Err(ConfigError::Weaker("journal", "true"));
        }
    }
    if uri.read_concern.as_ref().is_some_and(|read| read.level != ReadConcernLevel::Majority) {
        return Err(ConfigError::Weaker("readConcernLevel", "majority"));
    }
    if !matches!(uri.read_preference, None | Some(ReadPreference::Primary)) {
        return Err(ConfigError::Weaker("readPreference", "primary"));
    }
    Ok(())
}

/// What the driver says of a URI. It may quote the URI, so nothing is passed on that could be a part of its user info.
fn without_secrets(error: &mongodb::error::Error) -> String {
    let message = match &*error.kind {
        mongodb::error::ErrorKind::InvalidArgument { message, .. } => message.as_str(),
        _ => return "it cannot be read".to_owned(),
    };
    if message.contains(['@', '/']) { "it cannot be read".to_owned() } else { message.to_owned() }
}

/// The configuration cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The URI is none, or has an option with a value that it cannot have.
    #[error("no usable MongoDB URI: {0}; it begins with mongodb:// or mongodb+srv://")]
    Uri(String),
    /// An option of the URI that would let entries be lost, or be missed by a read.
    #[error(
        "the MongoDB URI sets {0} to something else than {1}: an entry counts as stored only when a majority has it; \
         remove the option"
    )]
    Weaker(&'static str, &'static str),
    /// Both the URI and a setting say it.
    #[error("the MongoDB URI names {0}, and so does a setting: use one of them")]
    Twice(&'static str),
    /// A database name that would need quoting everywhere else too.
    #[error("the database name must hold only a-z, A-Z, 0-9, _ and -, and have 1 to 63 characters")]
    Database,
    /// X.509 without a certificate.
    #[error("X.509 needs TLS with a certificate and its key")]
    X509,
    /// A limit of zero lets nothing pass.
    #[error("the request time-out must be above zero")]
    Timeout,
}

/// Who we are to the servers.
#[derive(Clone)]
pub enum Credentials {
    /// User name and password: SCRAM-SHA-256 where the server has it, else SCRAM-SHA-1.
    Password {
        /// The user.
        username: String,
        /// Its password.
        password: String,
        /// The database that knows the user; `None`: `admin`.
        auth_database: Option<String>,
    },
    /// The certificate of [`Tls::identity_file`] says it.
    X509,
}

impl Credentials {
    fn mechanism(&self) -> Option<AuthMechanism> {
        match self {
            Self::Password { .. } => None,
            Self::X509 => Some(AuthMechanism::MongoDbX509),
        }
    }

    pub(crate) fn for_driver(&self) -> Credential {
        let mut credential = Credential::default();
        credential.mechanism = self.mechanism();
        if let Self::Password { username, password, auth_database } = self {
            credential.username = Some(username.clone());
            credential.password = Some(password.clone());
            credential.source = Some(auth_database.clone().unwrap_or_else(|| "admin".to_owned()));
        }
        credential
    }
}

impl fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => {
                f.debug_struct("Password").field("username", username).finish_non_exhaustive()
            }
            Self::X509 => f.write_str("X509"),
        }
    }
}

/// How the servers are to know who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// SCRAM: by user name and password.
    Scram,
    /// X.509: by certificate.
    X509,
}

/// The text is no way of authentication.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected scram or x509")]
pub struct ParseAuthenticationError;

impl FromStr for Authentication {
    type Err = ParseAuthenticationError;

    fn from_str(text: &str) -> Result<Self, ParseAuthenticationError> {
        match text {
            "scram" => Ok(Self::Scram),
            "x509" => Ok(Self::X509),
            _ => Err(ParseAuthenticationError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(uri: &str) -> Result<(), ConfigError> {
        Config::new(uri, "afterimage").validate()
    }

    #[test]
    fn a_uri_that_promises_less_is_refused() {
        for (option, name) in [
            ("w=1", "w"),
            ("w=0", "w"),
            ("w=3", "w"),
            ("journal=false", "journal"),
            ("w=majority&journal=false", "journal"),
            ("readConcernLevel=local", "readConcernLevel"),
            ("readConcernLevel=available", "readConcernLevel"),
            ("readPreference=secondaryPreferred", "readPreference"),
            ("readPreference=primaryPreferred", "readPreference"),
        ] {
            match checked(&format!("mongodb://db1/?{option}")) {
                Err(ConfigError::Weaker(found, _)) => assert_eq!(found, name, "{option}"),
                other => panic!("{option}: {other:?}"),
            }
        }
        for option in [
            "w=majority&journal=true&wtimeoutMS=100",
            "readConcernLevel=majority&readPreference=primary",
            "retryWrites=false&replicaSet=rs0",
            "",
        ] {
            assert_eq!(checked(&format!("mongodb://db1,db2:27018/?{option}")), Ok(()), "{option}");
        }
    }

    #[test]
    fn what_is_no_uri_is_refused_without_its_password() {
        for wrong in
            ["", "db1", "http://u:hunter2@db1", "mongodb://u:hunter2@", "mongodb://u:hunter2@db1/?authMechanism=x"]
        {
            let error = checked(wrong).unwrap_err();
            assert!(matches!(error, ConfigError::Uri(_)), "{wrong}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let config = Config::new("mongodb://u:hunter2@db1", "afterimage");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn users_are_named_once_and_their_passwords_never_shown() {
        let credentials = |username: &str| Credentials::Password {
            username: username.to_owned(),
            password: "hunter2".to_owned(),
            auth_database: None,
        };
        let mut config = Config::new("mongodb://db1", "afterimage");
        config.credentials = Some(credentials("writer"));
        assert_eq!(config.validate(), Ok(()));
        assert!(config.warnings().iter().any(|warning| warning.contains("clear text")));
        assert!(!format!("{:?}", config.credentials).contains("hunter2"));
        let driver = credentials("writer").for_driver();
        assert_eq!((driver.username.as_deref(), driver.source.as_deref()), (Some("writer"), Some("admin")));
        assert_eq!(driver.mechanism, None, "the best SCRAM that the server has");
        config.uri = "mongodb://other:x@db1".to_owned();
        assert!(matches!(config.validate(), Err(ConfigError::Twice(_))));
        config.uri = "mongodb+srv://cluster.example".to_owned();
        assert_eq!((config.validate(), config.warnings().len()), (Ok(()), 0));
        assert_eq!(
            checked("mongodb://u:p@db1/?authMechanism=SCRAM-SHA-256&authSource=admin"),
            Ok(()),
            "SCRAM by the URI"
        );
    }

    #[test]
    fn database_names_are_plain() {
        for wrong in ["", "a.b", "a b", "$a", "a/b", &"a".repeat(64)] {
            assert_eq!(Config::new("mongodb://db1", wrong).validate(), Err(ConfigError::Database), "{wrong}");
        }
    }
}
