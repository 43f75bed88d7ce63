//! What known consumers get wrong, as laws.

mod bounds;
mod dead_letters;
mod deletes;
mod fifo;
mod fifo_ends;
mod leases;
mod outages;
mod polling;
mod stopping;

use std::time::Duration;

use afterimage_consumer::{Limits, Message};

use crate::fakes::message;
use crate::rig::Rig;

fn limits() -> Limits {
    Limits { has_dead_letter_queue: true, ..Limits::default() }
}

/// So many messages of one event each, from `m0` on.
fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|n| message(&format!("m{n}"), &format!("e{n}"), 1)).collect()
}

/// A worker with so many messages in hand, whose store went down when it was to store them.
fn in_an_outage(held: usize) -> Rig {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(held));
    rig.store.set_down(true);
    rig.store();
    rig
}

const SECOND: Duration = Duration::from_secs(1);
