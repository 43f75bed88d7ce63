//! Encryption: a TLS server stands before the real one, with certificates made for the test.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;
#[path = "../../store/tests/servers/tls.rs"]
mod front;

use std::path::PathBuf;
use std::time::Duration;

use afterimage_store::{Store, StoreError};
use afterimage_store_mongodb::{Config, Credentials, MongoStore, Tls};
use common::TestDatabase;
use front::{Authority, front};

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
