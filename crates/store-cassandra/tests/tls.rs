//! Encryption: a TLS server stands before the real one, with certificates made for the test.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;
#[path = "../../store/tests/servers/tls.rs"]
mod front;

use std::path::PathBuf;
use std::time::Duration;

use afterimage_store::{Store, StoreError};
use afterimage_store_cassandra::{CassandraStore, Tls};
use common::Keyspace;
use front::{Authority, front};

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
