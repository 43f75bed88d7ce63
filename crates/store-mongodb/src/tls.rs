//! Encryption on the way to the servers.

use std::path::{Path, PathBuf};

use mongodb::options::TlsOptions;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// TLS: whom we trust, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the authorities that sign the servers' certificates. `None`: those of Mozilla.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate and its private key, as `mongod` and mongosh take it (`tlsCertificateKeyFile`), for
    /// servers that want one, and for X.509.
    pub identity_file: Option<PathBuf>,
}

/// TLS cannot work as configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file lacks what it is there for.
    #[error("{}: there is no {what} in it", path.display())]
    Lacks {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
}

impl TlsError {
    /// The file it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::Lacks { path, .. } => path,
        }
    }
}

impl Tls {
    /// Reads the files, so that what is wrong with them is said at the start.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn check(&self) -> Result<(), TlsError> {
        for path in [&self.ca_file, &self.identity_file].into_iter().flatten() {
            let pem = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
            let mut certificates = CertificateDer::pem_slice_iter(&pem);
            certificates.next().ok_or_else(|| lacks(path, "certificate"))?.map_err(|error| unreadable(path, &error))?;
        }
        if let Some(path) = &self.identity_file {
            match PrivateKeyDer::from_pem_file(path) {
                Ok(_) => {}
                Err(PemError::NoItemsFound) => return Err(lacks(path, "private key")),
                Err(error) => return Err(unreadable(path, &error)),
            }
        }
        Ok(())
    }

    /// These files, and whatever else the URI says.
    pub(crate) fn for_driver(&self, mut options: TlsOptions) -> TlsOptions {
        options.ca_file_path = self.ca_file.clone();
        options.cert_key_file_path = self.identity_file.clone();
        options
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: error.to_string() }
}

fn lacks(path: &Path, what: &'static str) -> TlsError {
    TlsError::Lacks { path: path.to_owned(), what }
}
