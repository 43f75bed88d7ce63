//! Poison by the thousand, among good messages: every kind, lists of good and bad events, bodies that leave no room for a
//! reason. What is good is stored once, what is not lies among the dead letters once, whole, with the reason; nothing
//! else is anywhere (design §5.3). On FIFO queues the letters of a group stand in its order, and keep its name.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use afterimage_store::{Lookup as _, Store as _};
use afterimage_store_sqlite::{Options, SqliteStore};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use support::fifo::FifoQueues;
use support::poison::{BODY_BYTES_MAX, Case, cases};
use support::sqs::{Queues, counts};
use support::{Running, afterimage};

fn text<'a>(letter: &'a Message, name: &str) -> &'a str {
    let attribute = letter.message_attributes().and_then(|attributes| attributes.get(name));
    attribute.and_then(|attribute| attribute.string_value()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_every_kind_among_good_messages_on_a_standard_queue() {
    let (queues, cases, folder) = (Queues::start().await, cases(1_600, 6), tempfile::tempdir().unwrap());
    queues.send(cases.iter().map(|case| case.body.clone())).await;
    work(folder.path(), &queues.changes, &queues.dead);
    assert_eq!(queues.counts(&queues.changes).await, (0, 0), "nothing is left, nothing is held");
    assert_stored(folder.path(), &cases).await;
    assert_dead(&cases, &queues.dead_letters().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_within_hundreds_of_groups_of_a_fifo_queue() {
    let (_endpoint, queues) = FifoQueues::start().await;
    keeps_its_groups(&queues, &cases(800, 4), 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_within_groups_of_a_fifo_queue_on_elasticmq() {
    let Some(queues) = FifoQueues::on_elasticmq().await else { return };
    keeps_its_groups(&queues, &cases(96, 0), 20).await;
}

/// Sends the cases to so many groups, poison before good ones in each.
async fn keeps_its_groups(queues: &FifoQueues, cases: &[Case], groups: usize) {
    let folder = tempfile::tempdir().unwrap();
    // Neighbours share a group: poison, and good ones behind it.
    let group_of = |n: usize| format!("group-{}", n / 2 % groups);
    let id_of = |n: usize| format!("change-{n}");
    queues.send(cases.iter().enumerate().map(|(n, case)| (group_of(n), id_of(n), case.body.clone()))).await;
    work(folder.path(), &queues.changes, &queues.dead);
    assert_eq!(counts(&queues.client, &queues.changes).await, (0, 0), "nothing is left, nothing is held");
    assert_stored(folder.path(), cases).await;

    let letters = queues.dead_letters().await;
    assert_dead(cases, &letters);
    let position: HashMap<&str, usize> = cases.iter().enumerate().map(|(n, case)| (case.body.as_str(), n)).collect();
    let mut latest: BTreeMap<String, usize> = BTreeMap::new();
    for letter in &letters {
        let n = position[letter.body().unwrap()];
        let known = |name| letter.attributes().and_then(|all| all.get(&name)).map(String::as_str).unwrap_or_default();
        let group = known(MessageSystemAttributeName::MessageGroupId);
        assert_eq!(group, group_of(n));
        let before = latest.insert(group.to_owned(), n);
        assert!(before.is_none_or(|before| before < n), "{n} came behind {before:?} of {group}");
        // The id of a letter begins with the original one; beside the largest bodies there is no room for more.
        let id = known(MessageSystemAttributeName::MessageDeduplicationId);
        assert!(id.starts_with(&format!("{}.", id_of(n))), "{id}");
        let original = text(letter, "afterimage.deduplication_id");
        assert!(original == id_of(n) || letter.body().unwrap().len() == BODY_BYTES_MAX, "{original:?} of {n}");
    }
}

/// A worker until nothing is left to do.
fn work(folder: &Path, changes: &str, dead: &str) {
    let mut worker = afterimage(folder);
    worker.args(["worker", "--queue-url", changes, "--dlq-url", dead, "--listen", "127.0.0.1:0"]);
    worker.args(["--exit-when-idle", "1s", "--log-level", "error"]);
    let (code, log) = Running::start(worker).end();
    assert_eq!(code, 3, "{log}");
}

/// What is stored is exactly what is good.
async fn assert_stored(folder: &Path, cases: &[Case]) {
    let store = SqliteStore::open(folder.join("afterimage.db"), &Options::default()).unwrap();
    let ids: Vec<String> = cases.iter().flat_map(|case| case.stored.iter().cloned()).collect();
    for chunk in ids.chunks(500) {
        let found = store.contents("default", "default", chunk).await.unwrap();
        let lost: Vec<_> = chunk.iter().zip(&found).filter(|(_, versions)| versions.len() != 1).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    let poisoned: Vec<String> = (0..cases.len()).map(|n| format!("poison-{n}")).collect();
    for chunk in poisoned.chunks(500) {
        assert!(store.contents("default", "default", chunk).await.unwrap().iter().all(Vec::is_empty));
    }
    store.close().await;
}

/// What is dead is exactly what is not good: whole, once, with its reason.
fn assert_dead(cases: &[Case], letters: &[Message]) {
    let mut by_body: HashMap<&str, Vec<&Message>> = HashMap::new();
    for letter in letters {
        by_body.entry(letter.body().unwrap()).or_default().push(letter);
    }
    let dead: Vec<_> = cases.iter().filter_map(|case| Some((case, case.dead?))).collect();
    let mut wrong = BTreeMap::new();
    for (case, expected) in &dead {
        let found = by_body.get(case.body.as_str()).map(Vec::as_slice).unwrap_or_default();
        let reasons: Vec<_> = found
            .iter()
            .map(|letter| (text(letter, "afterimage.reason"), text(letter, "afterimage.failed_events")))
            .collect();
        if reasons != [*expected] {
            // One example of each kind of mistake.
            wrong.insert(format!("{reasons:?}, not {expected:?}"), case.body.chars().take(80).collect::<String>());
        }
        let has_room = case.body.len() < BODY_BYTES_MAX;
        assert!(found.iter().all(|letter| text(letter, "afterimage.origin").is_empty() != has_room));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(letters.len(), dead.len());
}
