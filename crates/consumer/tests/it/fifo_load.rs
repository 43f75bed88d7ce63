//! A load on a FIFO queue with failing groups, through the driver, on a clock that jumps from timer to timer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{Limits, Metrics, Worker};
use afterimage_store::Store;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::driver::LongPolls;
use crate::fakes::{Faults, SimQueue, SimStore, Words};

const GROUPS: usize = 200;
const MESSAGES: usize = 50;
/// For so long the store refuses to answer for some messages of failing groups.
const TROUBLE: Duration = Duration::from_secs(40);

/// What is wrong with a group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// The store does not answer for some of its messages, for a while.
    Unanswered,
    /// Some can never be understood.
    Poison,
    /// Some hold good events and a bad one.
    Mixed,
    /// The store will never take some.
    Refused,
    /// Some make the processor panic.
    Panics,
}

fn trouble(group: usize) -> Trouble {
    match group % 50 {
        0 | 1 => Trouble::Unanswered,
        10 => Trouble::Poison,
        20 => Trouble::Mixed,
        30 => Trouble::Refused,
        40 => Trouble::Panics,
        _ => Trouble::None,
    }
}

fn is_bad(message: usize) -> bool {
    message.is_multiple_of(7)
}

/// The order in which things of groups happened, group by group; names are `{group}-{message}`.
fn by_group<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<usize, Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for name in names {
        let (group, message) = name.split_once('-').expect("{group}-{message}");
        groups.entry(group.parse().unwrap()).or_default().push(message.parse().unwrap());
    }
    groups
}

async fn run(seed: u64, faults: Faults) {
    let queue = LongPolls::around(SimQueue::fifo(seed, faults));
    let store = Arc::new(SimStore::default());
    let mut unanswered = Vec::new();
    let mut sent: HashMap<usize, Vec<usize>> = HashMap::new();
    for message in 0..MESSAGES {
        for group in 0..GROUPS {
            let (id, event) = (format!("{group}-{message}"), format!("{group}-{message}"));
            let body = match trouble(group) {
                Trouble::Poison if is_bad(message) => format!("!{event}"),
                Trouble::Mixed if is_bad(message) => format!("{event} !x"),
                Trouble::Panics if is_bad(message) => format!("P{event}"),
                Trouble::Unanswered if is_bad(message) => {
                    unanswered.push(event.clone());
                    event
                }
                Trouble::Refused if is_bad(message) => {
                    store.refuse(&event);
                    event
                }
                _ => event,
            };
            queue.queue.send_to(&group.to_string(), &id, &body);
            sent.entry(group).or_default().push(message);
        }
    }
    store.leave_unanswered(&unanswered.iter().map(String::as_str).collect::<Vec<_>>());
    let limits = Limits { has_dead_letter_queue: true, ..Limits::default() };
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let worker = Worker::new(
        limits,
        Duration::from_secs(30),
        Arc::clone(&queue) as _,
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(Words),
        metrics,
    )
    .unwrap();
    let stop = CancellationToken::new();
    let end = tokio::spawn(worker.run(stop.clone()));

    // Every group that the store answers for is done while the others still hang.
    tokio::time::sleep(TROUBLE).await;
    let deleted = by_group(queue.queue.deletions().iter().map(String::as_str));
    for group in 0..GROUPS {
        let done = deleted.get(&group).map_or(0, Vec::len);
        match trouble(group) {
            Trouble::Unanswered => assert_eq!(done, 0, "group {group} hangs at its first message"),
            _ => assert_eq!(done, MESSAGES, "group {group} waits for others, seed {seed}"),
        }
    }
    store.leave_unanswered(&[]);
    tokio::time::sleep(TROUBLE).await;
    assert!(queue.queue.is_empty(), "seed {seed}");
    stop.cancel();
    let books = end.await.unwrap().books;
    assert!(books.balance() && books.in_flight == 0, "{books:?}");

    // Nothing lost, nothing doubled.
    let expected: BTreeSet<(usize, usize)> =
        (0..GROUPS).flat_map(|group| (0..MESSAGES).map(move |message| (group, message))).collect();
    let is_letter = |&&(group, message): &&(usize, usize)| {
        is_bad(message) && !matches!(trouble(group), Trouble::None | Trouble::Unanswered)
    };
    let is_stored = |(group, message): &(usize, usize)| {
        !is_bad(*message) || matches!(trouble(*group), Trouble::None | Trouble::Unanswered | Trouble::Mixed)
    };
    let moments = store.moments();
    let stored = by_group(moments.iter().flatten().map(String::as_str));
    let letters = queue.queue.letters();
    let dead = by_group(letters.iter().map(|(_, id)| id.as_str()));
    for group in 0..GROUPS {
        let of = |all: &BTreeMap<usize, Vec<usize>>| all.get(&group).cloned().unwrap_or_default();
        let (stored, dead) = (of(&stored), of(&dead));
        let mine = || expected.iter().filter(|(of, _)| *of == group);
        let (want_stored, want_dead): (Vec<usize>, Vec<usize>) = (
            mine().filter(|name| is_stored(name)).map(|(_, message)| *message).collect(),
            mine().filter(is_letter).map(|(_, message)| *message).collect(),
        );
        assert_eq!(dead, want_dead, "letters of group {group}, in order, seed {seed}");
        // What one write stored counts as one moment: what failed in it is made up for before anything later is begun.
        let mut sorted = stored.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, want_stored, "entries of group {group}, seed {seed}");
    }
    assert!(letters.iter().all(|(group, id)| id.starts_with(&format!("{group}-"))), "letters keep their group");
    no_later_write_overtakes(&moments, &unanswered, seed);
}

/// A message is not begun to be stored while one before it is missing: a write may hold what is behind a message that fails
/// in that same write, and nothing of a later write comes before it.
fn no_later_write_overtakes(moments: &[Vec<String>], unanswered: &[String], seed: u64) {
    let mut write_of: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (write, names) in moments.iter().enumerate() {
        for (group, messages) in by_group(names.iter().map(String::as_str)) {
            write_of.extend(messages.into_iter().map(|message| ((group, message), write)));
        }
    }
    let hung: BTreeSet<(usize, usize)> = by_group(unanswered.iter().map(String::as_str))
        .into_iter()
        .flat_map(|(group, messages)| messages.into_iter().map(move |message| (group, message)))
        .collect();
    let mut latest: BTreeMap<usize, usize> = BTreeMap::new();
    for ((group, message), write) in &write_of {
        let latest = latest.entry(*group).or_default();
        // Written along with a message that failed then, and not again.
        let went_along = hung.range((*group, 0)..(*group, *message)).any(|hung| write_of[hung] > *write);
        assert!(*write >= *latest || went_along, "{group}-{message} overtook, seed {seed}");
        *latest = (*latest).max(*write);
    }
}

#[tokio::test(start_paused = true)]
async fn failing_groups_hold_up_nobody_and_every_group_keeps_its_order() {
    run(1, Faults::default()).await;
}

#[tokio::test(start_paused = true)]
async fn nor_when_the_queue_fails_now_and_then() {
    run(2, Faults { item: 0.02, call: 0.02, ..Faults::default() }).await;
}
