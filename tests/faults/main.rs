//! Real workers under faults: each scenario ends with a full comparison of what was sent with what the store holds.
//!
//! `AFTERIMAGE_FAULTS` says how much: unset, the scenarios that CI runs, a few seconds of load each; `short`, all of them;
//! `long`, all of them with 10^5 events each. `AFTERIMAGE_FAULTS_SEED` repeats a run as far as real processes can be repeated.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests; a test that cannot go on fails")]

mod fifo;
mod mixed;
mod queues;
mod servers;
mod stores;
mod workers;

use afterimage_tests::{Form, Need, Plan, QueueKind, StoreKind, server};

/// Three workers on a SQLite file and the queue of this process.
fn plan(name: &'static str, fault: &'static str) -> Plan {
    let (store, queue) = (sqlite(), QueueKind::Embedded);
    Plan { name, fault, store, queue, workers: 3, events: 1_200, per_s: 250, groups: None }
}

const fn sqlite() -> StoreKind {
    StoreKind::Sqlite { folder: None }
}

/// The Cassandra that all tests share; none when tests are to do without servers.
fn cassandra() -> Option<StoreKind> {
    let node = server(Need::Cassandra)?.split(',').next()?.trim().to_owned();
    Some(StoreKind::Cassandra { nodes: vec![node], copies: 1 })
}

/// The MongoDB-wire server that all tests share; none when tests are to do without servers.
fn mongodb() -> Option<StoreKind> {
    Some(StoreKind::Mongodb { uri: server(Need::Mongodb)? })
}

/// What CI does not run says so.
fn is_asked_for(name: &str) -> bool {
    let is_asked_for = Form::asked_for() != Form::Ci;
    if !is_asked_for {
        println!("SKIPPED: {name} is part of make faults, and not of make test");
    }
    is_asked_for
}
