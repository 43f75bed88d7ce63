//! What happened in runs, counted.

use std::fmt;
use std::ops::{AddAssign, Index, IndexMut};

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Runs.
    Runs,
    /// Messages sent.
    Messages,
    /// Entries that had to be stored, and were.
    Entries,
    /// Appends of entries that were stored already.
    Repeated,
    /// Poison.
    Poison,
    /// Copies of messages that workers sent to the dead letters.
    Letters,
    /// Messages that the redrive policy took, poison or unlucky.
    Moved,
    /// Turns of cores: an input, and what came of it.
    Turns,
    /// Calls to queue and store.
    Calls,
    /// Deliveries of messages.
    Deliveries,
    /// Deliveries of messages that had been delivered before.
    Redeliveries,
    /// Leases extended.
    Extensions,
    /// Workers started.
    Starts,
    /// Workers that died.
    Crashes,
    /// Workers told to stop.
    Stops,
    /// Workers killed while they stopped.
    ForcedKills,
    /// Processes that stood still.
    Freezes,
    /// Clocks that jumped.
    ClockJumps,
    /// Times in which the queue answered nothing.
    QueueOutages,
    /// Times in which the store failed, in one way or another.
    StoreOutages,
    /// Calls to the queue that got lost, on the way there or back.
    LostCalls,
    /// Calls to the queue that it refused as a whole.
    RefusedCalls,
    /// Items of batches that failed, or were left out of the answer.
    FailedItems,
    /// Messages delivered while somebody held them, or after they were deleted.
    Duplicates,
    /// Appends whose outcome was not known to the worker.
    UnknownAppends,
    /// Seconds of virtual time.
    VirtualSeconds,
}

impl Count {
    /// Each of them.
    pub const ALL: [Self; 26] = [
        Self::Runs,
        Self::Messages,
        Self::Entries,
        Self::Repeated,
        Self::Poison,
        Self::Letters,
        Self::Moved,
        Self::Turns,
        Self::Calls,
        Self::Deliveries,
        Self::Redeliveries,
        Self::Extensions,
        Self::Starts,
        Self::Crashes,
        Self::Stops,
        Self::ForcedKills,
        Self::Freezes,
        Self::ClockJumps,
        Self::QueueOutages,
        Self::StoreOutages,
        Self::LostCalls,
        Self::RefusedCalls,
        Self::FailedItems,
        Self::Duplicates,
        Self::UnknownAppends,
        Self::VirtualSeconds,
    ];
}

/// Counts of one run, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; Count::ALL.len()]);

impl Index<Count> for Tally {
    type Output = u64;

    fn index(&self, count: Count) -> &u64 {
        &self.0[count as usize]
    }
}

impl IndexMut<Count> for Tally {
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.0[count as usize]
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for count in Count::ALL {
            // One name a line, in words: `QueueOutages` is "queue outages".
            let mut name = String::new();
            for letter in format!("{count:?}").chars() {
                if letter.is_uppercase() && !name.is_empty() {
                    name.push(' ');
                }
                name.push(letter.to_ascii_lowercase());
            }
            writeln!(f, "{:>16} {name}", self[count])?;
        }
        Ok(())
    }
}
