//! What would be said over and over is said now and then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines about the same thing.
const PAUSE: Duration = Duration::from_secs(10);

/// Operation and code: both are of a fixed set, so this stays small.
type Key = (&'static str, &'static str);

/// How often the same was to be said since it was said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats(Arc<Mutex<BTreeMap<Key, (Instant, usize)>>>);

impl Repeats {
    /// It happened again, so many times; `Some` when it is to be said, with how many times since the last line.
    pub(super) fn add(&self, key: Key, times: usize, now: Instant) -> Option<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&key) {
            Some((said_at, unsaid)) if now.saturating_duration_since(*said_at) < PAUSE => {
                *unsaid += times;
                None
            }
            Some((said_at, unsaid)) => {
                *said_at = now;
                Some(times + std::mem::take(unsaid))
            }
            None => {
                all.insert(key, (now, 0));
                Some(times)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_the_next_with_all_between() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        assert_eq!(repeats.add(("delete", "AccessDenied"), 10, start), Some(10));
        assert_eq!(repeats.add(("delete", "AccessDenied"), 9, start + Duration::from_secs(1)), None);
        assert_eq!(repeats.add(("delete", "Timeout"), 2, start + Duration::from_secs(1)), Some(2), "another thing");
        assert_eq!(repeats.add(("delete", "AccessDenied"), 3, start + PAUSE), Some(12));
        assert_eq!(repeats.add(("delete", "AccessDenied"), 3, start + PAUSE), None);
        assert_eq!(repeats.add(("delete", "AccessDenied"), 1, start + 2 * PAUSE), Some(4));
    }
}
