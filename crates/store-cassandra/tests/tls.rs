//! Encryption: a TLS server stands before the real one, with certificates made for the test.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use afterimage_store::{Store, StoreError};
use afterimage_store_cassandra::{CassandraStore, Tls};
use common::Keyspace;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_right_server_is_believed_and_only_the_right_client() {
    let Some(keyspace) = Keyspace::new() else { return };
    keyspace.store().await.close().await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = keyspace.nodes[0].clone();
    let by_address = front(&server, ours.sign("127.0.0.1"), None).await;
    let by_name = front(&server, ours.sign("cassandra.example"), None).await;
    let foreign = front(&server, theirs.sign("127.0.0.1"), None).await;
    let wants_client = front(&server, ours.sign("127.0.0.1"), Some(&ours)).await;

    let ping = async |node: &str, identity: Option<(PathBuf, PathBuf)>, server_name: Option<&str>| {
        let mut config = keyspace.config();
        config.nodes = vec![node.to_owned()];
        config.connect_timeout = Duration::from_secs(10);
        config.tls = Some(Tls { ca_file: ours.ca_file(), identity, server_name: server_name.map(str::to_owned) });
        CassandraStore::new(config).unwrap().ping().await
    };
    let refused = |outcome: Result<(), StoreError>| {
        assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    };

    ping(&by_address, None, None).await.unwrap();
    ping(&by_name, None, Some("cassandra.example")).await.unwrap();
    refused(ping(&by_name, None, None).await);
    refused(ping(&by_name, None, Some("other.example")).await);
    refused(ping(&by_address, None, Some("cassandra.example")).await);
    refused(ping(&foreign, None, None).await);
    refused(ping(&foreign, None, Some("127.0.0.1")).await);

    ping(&wants_client, Some(ours.sign("worker")), None).await.unwrap();
    refused(ping(&wants_client, None, None).await);
    refused(ping(&wants_client, Some(theirs.sign("worker")), None).await);
    keyspace.drop_it().await;
}

#[tokio::test]
async fn unusable_certificate_files_are_named() {
    let authority = Authority::new();
    let empty = authority.directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = authority.directory.path().join("missing.pem");
    let (chain, _) = authority.sign("worker");
    for (ca_file, identity, named) in [
        (empty, None, "empty.pem"),
        (missing.clone(), None, "missing.pem"),
        (authority.ca_file(), Some((chain, missing)), "missing.pem"),
    ] {
        let mut config = afterimage_store_cassandra::Config::new(vec!["127.0.0.1:1".to_owned()], "afterimage");
        config.tls = Some(Tls { ca_file, identity, server_name: None });
        let error = CassandraStore::new(config).unwrap().ping().await.unwrap_err();
        assert!(matches!(&error, StoreError::Misconfigured { reason } if reason.contains(named)), "{error:?}");
    }
}
