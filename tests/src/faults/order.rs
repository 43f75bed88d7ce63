//! The order of FIFO groups, seen from outside: by the journal of the store and by the dead-letter queue.
//!
//! Nothing of a group may be stored, or be with the dead letters, before all that was sent before it in that group is one or
//! the other, unless it was stored by the same write. The journal numbers entries as they become durable, so a worker that
//! stood still and goes on with an old clock reading breaks no order that it does not break.

use std::collections::HashMap;

use aws_sdk_sqs::types::{Message as Letter, MessageSystemAttributeName};
use rusqlite::Connection;

use super::stream::Stream;

/// The order in which entries were stored.
#[derive(Debug)]
pub(super) struct Journal(HashMap<String, Place>);

/// One entry's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Ascending as they become durable.
    id: i64,
    /// Who stored it…
    worker: i64,
    /// …and when: the same for all of one write, in microseconds since 1970.
    stored_at: i64,
}

impl Journal {
    /// That of a SQLite store.
    pub(super) fn read(path: &str) -> Self {
        const ALL: &str = "SELECT event_id, id, worker, stored_at FROM entry_by_event JOIN entry ON entry = id";
        let connection = Connection::open(path).unwrap();
        let mut all = connection.prepare(ALL).unwrap();
        let rows = all.query_map([], |row| {
            Ok((row.get(0)?, Place { id: row.get(1)?, worker: row.get(2)?, stored_at: row.get(3)? }))
        });
        Self(rows.unwrap().collect::<Result<_, _>>().unwrap())
    }
}

/// What is known of the messages of a group so far.
#[derive(Debug, Default)]
struct Latest {
    /// The entry that was stored last.
    stored: Option<Place>,
    /// When the first telling of one was stored, at the latest, in milliseconds since 1970.
    stored_ms: i64,
    /// Of the dead letters, the place of the last.
    dead: Option<usize>,
    /// When the queue accepted it, in milliseconds since 1970.
    dead_ms: i64,
}

/// A dead letter, as the queue handed it out: its place, and when it was accepted.
type Dead = (usize, i64);

/// So many entries and letters came before something that was sent earlier in their group. Without a journal, only
/// letters are compared with each other.
pub(super) fn disorder(stream: Stream, events: &[Vec<String>], journal: Option<&Journal>, letters: &[Letter]) -> u64 {
    let mut dead: HashMap<&str, Dead> = HashMap::new();
    for (place, letter) in letters.iter().enumerate() {
        // Of a letter that is there twice, the first.
        dead.entry(letter.body().unwrap_or_default()).or_insert_with(|| (place, accepted_ms(letter)));
    }
    let mut groups: HashMap<u64, Latest> = HashMap::new();
    let mut disordered = 0;
    for told in stream {
        let stored = events[told.number].iter().filter_map(|id| journal?.0.get(id).copied()).collect::<Vec<_>>();
        let dead = dead.get(&*told.body).copied();
        disordered += groups.entry(told.group).or_default().add(&stored, dead, journal.is_some());
    }
    disordered
}

impl Latest {
    /// Takes the next message in: how much of it came too early.
    fn add(&mut self, stored: &[Place], dead: Option<Dead>, has_journal: bool) -> u64 {
        let is_early = |place: &&Place| {
            let overtook = self.stored.is_some_and(|last| place.id < last.id && !place.is_of_one_write_with(last));
            overtook || place.stored_at / 1000 < self.dead_ms
        };
        let early = stored.iter().filter(is_early).count() as u64;
        let is_dead_early = dead.is_some_and(|(place, ms)| {
            self.dead.is_some_and(|last| place < last) || (has_journal && ms < self.stored_ms)
        });
        self.stored = self.stored.max(stored.iter().max().copied());
        self.stored_ms = stored.iter().map(|place| place.stored_at / 1000).fold(self.stored_ms, i64::max);
        if let Some((place, ms)) = dead {
            self.dead = self.dead.max(Some(place));
            self.dead_ms = self.dead_ms.max(ms);
        }
        early + u64::from(is_dead_early)
    }
}

impl Place {
    fn is_of_one_write_with(self, other: Self) -> bool {
        (self.worker, self.stored_at) == (other.worker, other.stored_at)
    }
}

fn accepted_ms(letter: &Letter) -> i64 {
    let system = letter.attributes().expect("the queue was asked for its attributes");
    system[&MessageSystemAttributeName::SentTimestamp].parse().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entry with this id, stored by a write at this millisecond.
    fn at(id: i64, ms: i64) -> Place {
        Place { id, worker: 1, stored_at: ms * 1000 }
    }

    fn early(messages: &[(&[Place], Option<Dead>)]) -> u64 {
        let mut latest = Latest::default();
        messages.iter().map(|(stored, dead)| latest.add(stored, *dead, true)).sum()
    }

    #[test]
    fn a_group_that_is_stored_as_it_was_sent_is_in_order() {
        let entries = [at(1, 10), at(2, 10), at(7, 12)];
        assert_eq!(early(&[(&entries[..1], None), (&entries[1..2], None), (&[], None), (&entries[2..], None)]), 0);
        assert_eq!(
            early(&[(&entries[..1], None), (&[], Some((4, 11))), (&[], Some((5, 11))), (&entries[2..], None)]),
            0
        );
    }

    #[test]
    fn what_one_write_stored_has_no_order() {
        assert_eq!(early(&[(&[at(2, 10)], None), (&[at(1, 10)], None)]), 0);
    }

    #[test]
    fn a_worker_that_stood_still_may_have_an_old_reading_of_its_clock() {
        assert_eq!(early(&[(&[at(1, 10)], None), (&[at(2, 5)], None)]), 0);
    }

    #[test]
    fn whatever_overtakes_is_counted() {
        assert_eq!(early(&[(&[at(5, 12)], None), (&[at(3, 10)], None), (&[at(4, 11)], None)]), 2, "entries");
        assert_eq!(early(&[(&[], Some((0, 12))), (&[at(1, 11)], None)]), 1, "an entry, a letter");
        assert_eq!(early(&[(&[at(1, 12)], None), (&[], Some((0, 11)))]), 1, "a letter, an entry");
        assert_eq!(early(&[(&[], Some((3, 12))), (&[], Some((2, 12)))]), 1, "letters");
    }
}
