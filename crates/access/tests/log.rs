//! That somebody asked is durable before anything is answered, or nothing is answered.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use afterimage_access::{AccessLog, Metrics, Question, Reader, RecordError, Subject};
use afterimage_diff::{DigestKey, RuleBlock, Rules};
use afterimage_event::OWN_SOURCE;
use afterimage_store::{
    AppendError, Arrival, Entry, Listing, Lookup, MemoryStore, RecordQuery, Store, StoreError, Trail,
};
use async_trait::async_trait;
use tokio::sync::Semaphore;

/// A store that stores when it is let, and counts how often it is asked to.
struct Gated {
    inner: Arc<MemoryStore>,
    permits: Semaphore,
    begun: AtomicUsize,
}

impl Gated {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { inner: Arc::default(), permits: Semaphore::new(permits), begun: AtomicUsize::new(0) })
    }

    async fn until_begun(&self, appends: usize) {
        while self.begun.load(Ordering::SeqCst) < appends {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Store for Gated {
    fn kind(&self) -> &'static str {
        "gated"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        self.inner.append(entries, arrival).await
    }

    async fn close(&self) {}
}

fn log(store: Arc<dyn Store>, rules: Rules) -> AccessLog {
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    AccessLog::new(store, Arc::new(rules), "server-1".to_owned(), metrics)
}

fn reader() -> Reader {
    Reader { id: "support".to_owned(), email: Some("sam@example.com".to_owned()), ..Reader::anonymous() }
}

fn question<'q>(subjects: &'q [Subject], parameters: &'q [(String, String)]) -> Question<'q> {
    let ip = Some([10, 0, 0, 7].into());
    Question {
        name: "history",
        subjects,
        tenant: "acme",
        parameters,
        is_granted: true,
        request_id: "r-1",
        ip,
        user_agent: Some("curl/8"),
    }
}

fn subject(table: &str, id: &[&str]) -> Subject {
    Subject { table: Some(table.to_owned()), record_id: id.iter().map(|&part| part.to_owned()).collect() }
}

fn query(table: &str, id: &[&str]) -> RecordQuery {
    let Subject { table, record_id } = subject(table, id);
    RecordQuery { tenant: "acme".to_owned(), source: Some(OWN_SOURCE.to_owned()), table: table.unwrap(), record_id }
}

#[tokio::test]
async fn the_entry_says_who_asked_what_and_from_where() {
    let store = Arc::new(MemoryStore::new());
    let log = log(Arc::clone(&store) as Arc<dyn Store>, Rules::default());
    let parameters = [("limit".to_owned(), "5".to_owned()), ("apiKey".to_owned(), "s3cr3t".to_owned())];
    let subjects = [subject("orders", &["o", "1"]), subject("users", &["u1"])];
    let _recorded = log.record(&reader(), &question(&subjects, &parameters)).await.unwrap();
    let refused = Question { is_granted: false, ..question(&[], &[]) };
    let _recorded = log.record(&reader(), &refused).await.unwrap();
    let trail = Trail::new(Arc::clone(&store) as Arc<dyn Lookup>);
    let mut ids = HashSet::new();
    for (table, id) in [("orders", &["o", "1"][..]), ("users", &["u1"]), ("*", &[])] {
        let found = trail.history(&query(table, id), &Listing::default()).await.unwrap().items;
        assert_eq!(found.len(), 1, "{table}");
        let entry = serde_json::to_value(&found[0]).unwrap();
        assert_eq!((&entry["op"], &entry["source"]), (&"access".into(), &"afterimage".into()));
        let actor = serde_json::json!({ "type": "anonymous", "id": "support", "email": "sam@example.com" });
        let shown = entry["actor"].as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        assert_eq!(shown.collect::<Vec<_>>(), actor.as_object().unwrap().iter().collect::<Vec<_>>());
        let context = &entry["context"];
        for (name, value) in
            [("question", "history"), ("requestId", "r-1"), ("ip", "10.0.0.7"), ("userAgent", "curl/8")]
        {
            assert_eq!(context[name], value);
        }
        if table != "*" {
            assert_eq!(context["parameters"]["limit"], "5");
        }
        assert_eq!(context.get("refused").is_some(), table == "*", "{context}");
        assert!(!entry.to_string().contains("s3cr3t"), "{entry}");
        ids.insert(found[0].id.clone());
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn nothing_is_proven_before_the_store_confirms() {
    let store = Gated::new(0);
    let log = log(Arc::clone(&store) as Arc<dyn Store>, Rules::default());
    let asked = tokio::spawn(async move { log.record(&reader(), &question(&[], &[])).await });
    store.until_begun(1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished() && store.inner.is_empty());
    store.permits.add_permits(1);
    assert!(asked.await.unwrap().is_ok());
    assert_eq!(store.inner.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recorded_is_refused() {
    let parts = [subject("orders", &["1"]), subject("users", &["poison"])];
    // A store that never answers.
    let silent = log(Gated::new(0), Rules::default());
    assert!(matches!(silent.record(&reader(), &question(&parts, &[])).await, Err(RecordError::Unavailable { .. })));
    // One that fails for one of two records: half is not enough.
    let store = Arc::new(MemoryStore::new());
    store.fail_appends(|entry| {
        let reason = || AppendError::Unavailable { reason: "gone".to_owned() };
        (entry.record.record_id == ["poison"]).then(reason)
    });
    let failing = log(Arc::clone(&store) as Arc<dyn Store>, Rules::default());
    assert!(matches!(failing.record(&reader(), &question(&parts, &[])).await, Err(RecordError::Unavailable { .. })));
    assert!(failing.record(&reader(), &question(&parts[..1], &[])).await.is_ok());
    store.fail_appends(|_| Some(AppendError::Refused { reason: "too big".to_owned() }));
    assert!(matches!(failing.record(&reader(), &question(&[], &[])).await, Err(RecordError::Refused { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_log_knows_that_its_store_takes_no_entries_until_it_takes_one() {
    let store = Arc::new(MemoryStore::new());
    let log = log(Arc::clone(&store) as Arc<dyn Store>, Rules::default());
    assert!(log.takes_entries(), "nothing was asked yet");
    store.fail_appends(|_| Some(AppendError::Refused { reason: "too big".to_owned() }));
    assert!(log.record(&reader(), &question(&[], &[])).await.is_err());
    assert!(log.takes_entries(), "one entry that is refused says nothing of others");
    store.fail_appends(|_| Some(AppendError::Unavailable { reason: "read only".to_owned() }));
    assert!(log.record(&reader(), &question(&[], &[])).await.is_err());
    assert!(!log.takes_entries());
    // Nobody asks any more, since the server is not ready; it finds out by itself.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(!log.takes_entries() && store.is_empty());
    store.fail_appends(|_| None);
    while !log.takes_entries() {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(store.len(), 1, "what it tried with is what was asked");
}

#[tokio::test]
async fn many_who_ask_at_once_share_commits() {
    const ASKED: usize = 200;
    let store = Gated::new(0);
    let log = log(Arc::clone(&store) as Arc<dyn Store>, Rules::default());
    let first = tokio::spawn({
        let log = log.clone();
        async move { log.record(&reader(), &question(&[], &[])).await.is_ok() }
    });
    store.until_begun(1).await;
    let rest: Vec<_> = (1..ASKED)
        .map(|_| {
            let log = log.clone();
            tokio::spawn(async move { log.record(&reader(), &question(&[], &[])).await.is_ok() })
        })
        .collect();
    store.until_begun(4).await;
    store.permits.add_permits(ASKED);
    assert!(first.await.unwrap());
    for asked in rest {
        assert!(asked.await.unwrap());
    }
    assert_eq!(store.inner.len(), ASKED, "each has an entry of its own");
    let appends = store.begun.load(Ordering::SeqCst);
    assert!(appends <= ASKED / 20, "{appends} appends");
}

#[tokio::test]
async fn rules_of_the_source_afterimage_hold_for_its_entries() {
    let store = Arc::new(MemoryStore::new());
    let block = RuleBlock::new("test", "afterimage", "*").retention("90d").unwrap();
    let log = log(Arc::clone(&store) as Arc<dyn Store>, Rules::new(vec![block], DigestKey::published()).unwrap());
    let _recorded = log.record(&reader(), &question(&[subject("orders", &["1"])], &[])).await.unwrap();
    let trail = Trail::new(store as Arc<dyn Lookup>);
    let found = trail.history(&query("orders", &["1"]), &Listing::default()).await.unwrap().items;
    let entry = serde_json::to_value(&found[0]).unwrap();
    assert!(entry["expires_at"].is_string(), "{entry}");
}
