//! What a run came to.

use afterimage_consumer::Time;

use crate::tally::Tally;

/// What a run came to: counts, and how it went over time.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What happened, counted.
    pub tally: Tally,
    /// When everything was done.
    pub done_at: Time,
    /// Receives sent by the whole fleet, in each second.
    pub receives_by_second: Vec<u32>,
    /// Entries that became durable, in each second.
    pub stored_by_second: Vec<u32>,
    /// Most messages that one worker held.
    pub held_max: usize,
    /// Most bytes that one worker held, messages and entries.
    pub held_bytes_max: usize,
    /// Most bytes of bodies, raw and parsed, that one worker had room set aside for.
    pub reserved_bytes_max: usize,
}

/// Counts something in a second.
pub(crate) fn count_at(seconds: &mut Vec<u32>, at: Time, count: u32) {
    let second = at.as_secs() as usize;
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] += count;
}
