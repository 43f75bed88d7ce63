//! The books: what came in and what became of it.

/// Counters since the start, and what is held now. They balance at every moment:
/// `received = deleted + released + lease_lost + in_flight`, and
/// `decoded = stored + unchanged + expired + rejected + abandoned + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Deliveries of messages that were received.
    pub received: u64,
    /// Deleted: their entries are durable, or they are dead letters, or held nothing to store.
    pub deleted: u64,
    /// Given back, or left to the queue's redrive policy.
    pub released: u64,
    /// Taken from this worker by the queue, or left behind at the end.
    pub lease_lost: u64,
    /// Held now.
    pub in_flight: u64,
    /// Events seen in messages.
    pub decoded: u64,
    /// Events whose entries are durable, told before or not.
    pub stored: u64,
    /// Updates that changed nothing.
    pub unchanged: u64,
    /// Events whose retention was over when they arrived.
    pub expired: u64,
    /// Events that cannot be stored.
    pub rejected: u64,
    /// Events of messages that were given back or lost before it was known that they are durable.
    pub abandoned: u64,
    /// Events whose entries are not known to be durable yet.
    pub pending: u64,
    /// Messages sent to the dead letters.
    pub dead_lettered: u64,
    /// Messages that hold no event (subscription confirmations).
    pub control: u64,
    /// Messages received again while they were held.
    pub redelivered: u64,
    /// Receives that brought messages.
    pub receives_full: u64,
    /// Receives that brought none.
    pub receives_empty: u64,
    /// Receives that failed.
    pub receives_failed: u64,
    /// Leases extended.
    pub extended: u64,
    /// Delete calls made.
    pub delete_calls: u64,
    /// Groups of entries given to the store.
    pub groups: u64,
}

impl Books {
    /// Do both equations hold?
    #[must_use]
    pub fn balance(&self) -> bool {
        self.received == self.deleted + self.released + self.lease_lost + self.in_flight
            && self.decoded
                == self.stored + self.unchanged + self.expired + self.rejected + self.abandoned + self.pending
    }
}
