//! What only a file can promise: it outlives the process, and is shared with others.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use afterimage_event::{Actor, Op};
use afterimage_store::conformance::{Telling, moment};
use afterimage_store::{
    AppendError, Arrival, Direction, Entry, Filter, Index, Listing, Lookup, OWN_SOURCE, RowRange, Store, StoreError,
    Trail,
};
use afterimage_store_sqlite::{Options, SCHEMA_VERSION, SqliteStore};

fn telling(n: usize) -> Telling {
    Telling::new("t", &format!("e{n:04}"), Op::Snapshot, 1).images("", &format!(r#"{{"n":{n}}}"#))
}

async fn migrated(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, &Options::default()).unwrap();
    store.migrate().await.unwrap();
    store
}

async fn append(store: &SqliteStore, n: usize) -> Result<(), AppendError> {
    let arrival = Arrival { worker: "w".into(), at: moment(2) };
    store.append(&[telling(n).entry()], &arrival).await.remove(0)
}

async fn stored(store: &SqliteStore) -> Vec<String> {
    let range = RowRange { from: None, to: None, past: None, direction: Direction::Ascending, limit: 10_000 };
    let rows = store.rows(&Index::Record(telling(0).record_key()), &range).await.unwrap();
    rows.into_iter().map(|row| row.identity.event_id).collect()
}

fn wal(path: &Path) -> std::path::PathBuf {
    path.with_extension("db-wal")
}

/// The file as a crash would leave it: what was written by then, the WAL cut off at some byte, no shared memory.
fn crashed(path: &Path, folder: &Path, wal_bytes: u64) -> std::path::PathBuf {
    let copy = folder.join("copy.db");
    let _fresh = fs::remove_file(copy.with_extension("db-shm"));
    fs::copy(path, &copy).unwrap();
    fs::copy(wal(path), wal(&copy)).unwrap();
    fs::OpenOptions::new().write(true).open(wal(&copy)).unwrap().set_len(wal_bytes).unwrap();
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_at_any_byte_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    let store = migrated(&path).await;
    let mut ends = Vec::new();
    for n in 0..12 {
        append(&store, n).await.unwrap();
        ends.push(fs::metadata(wal(&path)).unwrap().len());
    }
    for acknowledged in 0..ends.len() {
        let next = ends.get(acknowledged + 1).copied().unwrap_or(ends[acknowledged]);
        for torn in [0, 1, 24, (next - ends[acknowledged]) / 2, (next - ends[acknowledged]).saturating_sub(1)] {
            let copy = crashed(&path, folder.path(), ends[acknowledged] + torn);
            let again = SqliteStore::open(&copy, &Options::default()).unwrap();
            again.ping().await.unwrap();
            let found = stored(&again).await;
            let expected: Vec<_> = (0..=acknowledged).map(|n| format!("e{n:04}")).collect();
            assert_eq!(found, expected, "{torn} bytes after entry {acknowledged}");
            append(&again, 999).await.unwrap();
            again.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_that_share_a_transaction_are_each_answered_for_their_own_entries() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(migrated(&folder.path().join("trail.db")).await);
    // Those that come while the first is written go into one transaction.
    let mut appends = tokio::task::JoinSet::new();
    for count in 1..30 {
        let store = Arc::clone(&store);
        appends.spawn(async move {
            let batch: Vec<_> = (0..count).map(|n| telling(100 * count + n).entry()).collect();
            let results = store.append(&batch, &Arrival { worker: "w".into(), at: moment(2) }).await;
            assert_eq!(results, vec![Ok(()); count]);
        });
    }
    while let Some(append) = appends.join_next().await {
        append.unwrap();
    }
}

/// No worker makes such content: an event is a message of 1 MiB at most.
#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_too_large_is_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = migrated(&folder.path().join("trail.db")).await;
    let large = Entry { content: "\0".repeat((256 << 20) + 1), ..Arc::unwrap_or_clone(telling(1).entry()) };
    let entries = [telling(0).entry(), Arc::new(large), telling(2).entry()];
    let results = store.append(&entries, &Arrival { worker: "w".into(), at: moment(2) }).await;
    assert!(matches!(&results[..], [Ok(()), Err(AppendError::Refused { .. }), Ok(())]), "{results:?}");
    assert_eq!(stored(&store).await, ["e0000", "e0002"]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_found_again_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    let store = Arc::new(migrated(&path).await);
    let appends = (0..200).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { append(&store, n).await })
    });
    for result in appends.collect::<Vec<_>>() {
        result.await.unwrap().unwrap();
    }
    store.close().await;
    assert!(matches!(append(&store, 200).await, Err(AppendError::Unavailable { .. })));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable { .. })));
    let again = SqliteStore::open(&path, &Options::default()).unwrap();
    assert_eq!(again.migrate().await.unwrap(), Vec::<String>::new());
    assert_eq!(stored(&again).await, (0..200).map(|n| format!("e{n:04}")).collect::<Vec<_>>());
    // Dropped without a word, as when a task is aborted.
    drop(again);
    assert_eq!(stored(&SqliteStore::open(&path, &Options::default()).unwrap()).await.len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_migrate_at_once_take_each_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    let migrations = (0..6).map(|_| {
        let path = path.clone();
        tokio::spawn(async move {
            let store = SqliteStore::open(&path, &Options::default()).unwrap();
            let steps = store.migrate().await.unwrap().len();
            store.ping().await.unwrap();
            append(&store, steps).await.unwrap();
            steps
        })
    });
    let mut steps = 0;
    for migration in migrations.collect::<Vec<_>>() {
        steps += migration.await.unwrap();
    }
    assert_eq!(i64::try_from(steps), Ok(SCHEMA_VERSION));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_another_version_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    let store = SqliteStore::open(&path, &Options::default()).unwrap();
    let misconfigured = |result: Result<(), StoreError>| match result {
        Err(StoreError::Misconfigured { reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(misconfigured(store.ping().await).contains("afterimage migrate"));
    assert!(matches!(append(&store, 0).await, Err(AppendError::Unavailable { reason }) if reason.contains("migrate")));
    store.migrate().await.unwrap();
    append(&store, 0).await.unwrap();

    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    assert!(misconfigured(store.ping().await).contains("upgrade"));
    assert!(misconfigured(store.migrate().await.map(|_| ())).contains("upgrade"));
    let fresh = SqliteStore::open(&path, &Options::default()).unwrap();
    assert!(matches!(append(&fresh, 1).await, Err(AppendError::Unavailable { reason }) if reason.contains("upgrade")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_held_by_another_process_is_waited_for_and_then_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    migrated(&path).await.close().await;
    let patience = Options { busy_timeout: Duration::from_millis(20), ..Options::default() };
    let store = SqliteStore::open(&path, &patience).unwrap();
    append(&store, 0).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(append(&store, 1).await, Err(AppendError::Unavailable { reason }) if reason.contains("locked")));
    // Readers do not care.
    assert_eq!(stored(&store).await, ["e0000"]);
    other.execute_batch("ROLLBACK").unwrap();
    append(&store, 1).await.unwrap();
    assert_eq!(stored(&store).await, ["e0000", "e0001"]);
}

#[tokio::test]
async fn what_was_asked_before_a_close_is_done_and_nothing_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    let store = migrated(&path).await;
    // Everything waits for this lock, and is there when it goes.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unlock = async { other.execute_batch("ROLLBACK").unwrap() };
    let (first, second, (), ()) = tokio::join!(biased; append(&store, 0), append(&store, 1), store.close(), unlock);
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert!(matches!(append(&store, 2).await, Err(AppendError::Unavailable { .. })));
    assert_eq!(stored(&migrated(&path).await).await, ["e0000", "e0001"]);
}

#[tokio::test]
async fn a_file_that_is_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    let text = "not a database, though long enough to be looked at as one ".repeat(100);
    fs::write(&path, &text).unwrap();
    assert!(SqliteStore::open(&path, &Options::default()).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(SqliteStore::open(folder.path().join("no/such/folder/trail.db"), &Options::default()).is_err());
}

/// The first releases found who asked what under the same terms as who did what.
#[tokio::test(flavor = "multi_thread")]
async fn access_entries_of_an_older_file_are_found_and_stay_out_of_other_questions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    let store = Arc::new(migrated(&path).await);
    let actor = || Actor { id: Some("42".into()), ..Actor::default() };
    let told = |id: &str, source: &str| Telling::new("t", id, Op::Access, 1).source(source).actor(actor()).entry();
    let arrival = Arrival { worker: "w".into(), at: moment(2) };
    let asked: Vec<_> = ["old", "older"].iter().map(|id| told(id, OWN_SOURCE)).collect();
    assert!(store.append(&asked, &arrival).await.iter().all(Result::is_ok));
    let other = rusqlite::Connection::open(&path).unwrap();
    let changed = other.execute("UPDATE entry_by_facet SET term = '42' WHERE term = 'afterimage:42'", []).unwrap();
    assert_eq!(changed, 2);
    let new = [told("did", "s"), told("new", OWN_SOURCE)];
    assert!(store.append(&new, &arrival).await.iter().all(Result::is_ok));

    let trail = Trail::new(store as Arc<dyn Lookup>);
    let found = async |source: Option<&str>| {
        let source = source.map(str::to_owned);
        let filter = Filter { tenant: "t".into(), source, actor: Some("42".into()), ..Filter::default() };
        let listing = Listing { from: Some(moment(0)), limit: 2, ..Listing::default() };
        let mut page = trail.changes(&filter, &listing).await.unwrap();
        let mut ids: Vec<String> = page.items.iter().map(|item| item.id.clone()).collect();
        while let Some(cursor) = page.next {
            page = trail.changes(&filter, &Listing { cursor: Some(cursor), ..listing.clone() }).await.unwrap();
            ids.extend(page.items.iter().map(|item| item.id.clone()));
        }
        ids
    };
    assert_eq!(found(None).await, ["did"]);
    assert_eq!(found(Some(OWN_SOURCE)).await, ["older", "old", "new"]);
}

/// Every file of a store.
fn files(path: &Path) -> [std::path::PathBuf; 3] {
    [path.to_owned(), wal(path), path.with_extension("db-shm")]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_removed_takes_nothing_more_until_it_is_back() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (path, hidden) = (folder.path().join("trail.db"), away.path().join("trail.db"));
    let store = migrated(&path).await;
    append(&store, 1).await.unwrap();
    for (from, to) in files(&path).iter().zip(files(&hidden)) {
        fs::rename(from, to).unwrap();
    }
    for _ in 0..2 {
        let error = append(&store, 2).await.unwrap_err();
        assert!(matches!(&error, AppendError::Unavailable { reason } if reason.contains("removed")), "{error}");
        assert!(!path.exists(), "no trail is begun as if there had been none");
    }
    assert!(store.ping().await.is_err());
    for (from, to) in files(&hidden).iter().zip(files(&path)) {
        fs::rename(from, to).unwrap();
    }
    append(&store, 3).await.unwrap();
    store.ping().await.unwrap();
    store.close().await;
    let found = stored(&migrated(&path).await).await;
    assert!(found.contains(&"e0001".to_owned()) && found.contains(&"e0003".to_owned()), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_emptied_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trail.db");
    let store = migrated(&path).await;
    append(&store, 1).await.unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    for _ in 0..2 {
        append(&store, 2).await.unwrap_err();
        assert!(store.ping().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_after_a_file_was_replaced_is_in_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("trail.db"), folder.path().join("new.db"));
    let other = migrated(&new).await;
    append(&other, 7).await.unwrap();
    other.close().await;
    let store = migrated(&path).await;
    append(&store, 1).await.unwrap();
    assert_eq!(stored(&store).await, ["e0001"]);
    fs::rename(&new, &path).unwrap();

    // With the old WAL beside it, whoever opened it would damage it.
    let error = append(&store, 2).await.unwrap_err();
    assert!(matches!(&error, AppendError::Unavailable { reason } if reason.contains("replaced")), "{error}");
    let error = append(&store, 2).await.unwrap_err();
    assert!(matches!(&error, AppendError::Unavailable { reason } if reason.contains("-wal")), "{error}");
    files(&path)[1..].iter().for_each(|file| fs::remove_file(file).unwrap());
    append(&store, 2).await.unwrap();
    assert_eq!(stored(&store).await, ["e0002", "e0007"], "readers see the new one too");
    assert_eq!(stored(&migrated(&path).await).await, ["e0002", "e0007"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_after_the_wal_was_removed_outlives_the_process() {
    for removed in [&[1][..], &[2], &[1, 2]] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trail.db");
        let store = migrated(&path).await;
        append(&store, 1).await.unwrap();
        assert_eq!(stored(&store).await, ["e0001"]);
        removed.iter().for_each(|n| fs::remove_file(&files(&path)[*n]).unwrap());
        // Told again, as a worker does.
        while append(&store, 2).await.is_err() {}
        append(&store, 3).await.unwrap();

        let length = fs::metadata(wal(&path)).unwrap().len();
        let crashed = crashed(&path, folder.path(), length);
        assert_eq!(stored(&migrated(&crashed).await).await, ["e0001", "e0002", "e0003"], "{removed:?}");
        assert_eq!(stored(&store).await, ["e0001", "e0002", "e0003"], "{removed:?}");
    }
}
