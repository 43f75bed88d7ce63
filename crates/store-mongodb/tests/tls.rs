//! Encryption: a TLS server stands before the real one, with certificates made for the test.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use afterimage_store::{Store, StoreError};
use afterimage_store_mongodb::{Config, Credentials, MongoStore, Tls};
use common::TestDatabase;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An authority, and the files it has made.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A file with a certificate and its key, as MongoDB takes it.
    fn sign_both(&self, name: &str) -> PathBuf {
        let (chain, key) = self.sign(name);
        let both = self.directory.path().join(format!("{name}.both.pem"));
        std::fs::write(&both, [std::fs::read(chain).unwrap(), std::fs::read(key).unwrap()].concat()).unwrap();
        both
    }

    /// A certificate for this name or address, and its key.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let files = ["pem", "key"].map(|kind| self.directory.path().join(format!("{name}.{kind}")));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files.into()
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect()
}

/// Ends TLS before the server; asks clients for a certificate of this authority, when one is given.
async fn front(server: &str, (chain, key): (PathBuf, PathBuf), clients: Option<&Authority>) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(&authority.ca_file()));
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(certificates(&chain), key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let Ok(mut server) = TcpStream::connect(server).await else { return };
                // Ends when either side does; how is of no interest here.
                drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
            });
        }
    });
    address.to_string()
}

/// A database on a server that takes plain connections; `None` where the environment's own server wants TLS by itself.
async fn plain_server() -> Option<(TestDatabase, String)> {
    let database = TestDatabase::new()?;
    if database.uri.contains("tls=true") || database.uri.starts_with("mongodb+srv") || database.uri.contains(',') {
        return None;
    }
    let host = database.uri.strip_prefix("mongodb://")?.split(['/', '?']).next()?.rsplit('@').next()?.to_owned();
    database.store().await.close().await;
    Some((database, host))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_right_server_is_believed_and_only_the_right_client() {
    let Some((database, server)) = plain_server().await else { return };
    let (ours, theirs) = (Authority::new(), Authority::new());
    let right = front(&server, ours.sign("127.0.0.1"), None).await;
    let by_name = front(&server, ours.sign("mongodb.example"), None).await;
    let foreign = front(&server, theirs.sign("127.0.0.1"), None).await;
    let wants_client = front(&server, ours.sign("127.0.0.1"), Some(&ours)).await;

    let ping = async |address: &str, identity_file: Option<PathBuf>, seconds: u64| {
        let mut config = Config::new(format!("mongodb://{address}/?directConnection=true"), database.name.clone());
        config.request_timeout = Duration::from_secs(seconds);
        config.tls = Some(Tls { ca_file: Some(ours.ca_file()), identity_file });
        MongoStore::new(config).unwrap().ping().await
    };
    // The driver tries again until the time is up, which for those it must not reach is short.
    let refused = async |address: &str, identity_file: Option<PathBuf>| {
        let outcome = ping(address, identity_file, 1).await;
        assert!(
            matches!(outcome, Err(StoreError::Misconfigured { .. } | StoreError::Unavailable { .. })),
            "{outcome:?}"
        );
    };

    ping(&right, None, 20).await.unwrap();
    refused(&by_name, None).await;
    refused(&foreign, None).await;
    ping(&wants_client, Some(ours.sign_both("worker")), 20).await.unwrap();
    refused(&wants_client, None).await;
    refused(&wants_client, Some(theirs.sign_both("worker"))).await;
}

#[test]
fn unusable_certificate_files_are_named() {
    let authority = Authority::new();
    let empty = authority.directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let (chain, _) = authority.sign("worker");
    let missing = authority.directory.path().join("missing.pem");
    let ca = Some(authority.ca_file());
    for (ca_file, identity_file, named) in [
        (Some(empty), None, "empty.pem: there is no certificate in it"),
        (Some(missing.clone()), None, "missing.pem"),
        (ca.clone(), Some(missing), "missing.pem"),
        (ca.clone(), Some(chain), "worker.pem: there is no private key in it"),
    ] {
        let error = Tls { ca_file, identity_file }.check().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    assert!(Tls { ca_file: ca, identity_file: Some(authority.sign_both("worker")) }.check().is_ok());
}

#[test]
fn x509_needs_tls_and_a_certificate() {
    let mut config = Config::new("mongodb://db1", "afterimage");
    config.credentials = Some(Credentials::X509);
    assert!(config.validate().is_err());
    config.tls = Some(Tls { ca_file: None, identity_file: Some("client.pem".into()) });
    config.validate().unwrap();
    let by_uri = "mongodb://db1/?authMechanism=MONGODB-X509&tls=true&tlsCertificateKeyFile=client.pem";
    Config::new(by_uri, "afterimage").validate().unwrap();
    assert!(Config::new("mongodb://db1/?authMechanism=MONGODB-X509&tls=true", "afterimage").validate().is_err());
}
