//! Overload, starvation and long outages: what a fleet costs, and how it recovers.

use std::time::Duration;

use afterimage_consumer::{Limits, QueueKind};
use afterimage_simulation::{Count, Faults, Plan, Report, Scene, Simulator, Supply};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// One worker with the bounds of the product, a queue that works, equal messages, nothing that goes wrong.
fn calm(messages: u32) -> Plan {
    Plan {
        faults: Faults::NONE,
        messages,
        first_message: 0,
        workers: 1,
        limits: Limits { has_dead_letter_queue: true, ..Limits::default() }.with_store_timeout(5 * SECOND),
        store_timeout: 5 * SECOND,
        sending: Duration::ZERO,
        peace_at: SECOND,
        settle: HOUR,
        receives_max: 5,
        in_flight_max: 120_000,
        is_fifo: false,
        supply: Supply::Plain { body_bytes: 1000 },
        ..Plan::of(1)
    }
}

fn run(plan: &Plan) -> Report {
    Simulator::new().run(plan).unwrap_or_else(|violation| panic!("{violation}"))
}

#[test]
fn an_empty_queue_costs_three_calls_a_minute() {
    let report = run(&Plan { peace_at: HOUR, ..calm(0) });
    let calls = report.tally[Count::Calls];
    assert!((179..=185).contains(&calls), "{calls} calls in an hour");
}

#[test]
fn a_fleet_that_grows_and_shrinks_works_off_a_backlog_of_a_million() {
    let plan = Plan {
        scenes: vec![(5 * SECOND, Scene::Scale { workers: 8 }), (40 * SECOND, Scene::Scale { workers: 1 })],
        ..calm(1_000_000)
    };
    let report = run(&plan);
    assert_eq!(report.tally[Count::Entries], u64::from(plan.messages));
    assert!(report.held_max <= plan.limits.messages_max, "{}", report.held_max);
    assert!(report.held_bytes_max <= plan.limits.bytes_max, "{}", report.held_bytes_max);
    assert!(report.tally[Count::Redeliveries] < 200, "{}", report.tally);
}

#[test]
fn messages_of_a_mebibyte_stay_within_the_memory_set_aside() {
    let plan = Plan { supply: Supply::Plain { body_bytes: 1 << 20 }, ..calm(300) };
    let report = run(&plan);
    assert!(report.reserved_bytes_max <= plan.limits.bytes_max, "{}", report.reserved_bytes_max);
    assert_eq!(report.tally[Count::Entries], 300);
}

#[test]
fn an_outage_of_eleven_hours_costs_no_message_a_delivery_too_many() {
    let plan = Plan {
        scenes: vec![(10 * SECOND, Scene::StoreDown { pause: 11 * HOUR - 60 * SECOND })],
        sending: 60 * SECOND,
        peace_at: 11 * HOUR,
        workers: 4,
        receives_max: 2,
        ..calm(2000)
    };
    let report = run(&plan);
    assert_eq!((report.tally[Count::Letters], report.tally[Count::Moved]), (0, 0));
    assert_eq!(report.tally[Count::Redeliveries], 0, "{}", report.tally);
}

#[test]
fn after_an_outage_a_fleet_is_at_full_speed_within_ten_seconds_and_does_not_stampede() {
    let back = 600;
    let plan = Plan {
        scenes: vec![(2 * SECOND, Scene::StoreDown { pause: Duration::from_secs(back) - 2 * SECOND })],
        workers: 20,
        peace_at: Duration::from_secs(back),
        ..calm(200_000)
    };
    let report = run(&plan);
    let at = |seconds: &[u32], second: u64| seconds.get(second as usize).copied().unwrap_or(0);
    let best = report.stored_by_second.iter().skip(back as usize).max().copied().unwrap_or(0);
    let early = (back..back + 10).map(|second| at(&report.stored_by_second, second)).max().unwrap_or(0);
    let stored: u64 = (back..back + 10).map(|second| u64::from(at(&report.stored_by_second, second))).sum();
    assert!(early * 2 >= best || stored > 50_000, "{early} a second within ten seconds, {best} at best");
    // Each worker starts again from one poller, and not before the others: the first second sees a part of them.
    let first = at(&report.receives_by_second, back);
    assert!(first < 20 * 10, "{first} receives in the first second");
    let polls: u32 = (20..back).map(|second| at(&report.receives_by_second, second)).sum();
    assert_eq!(polls, 0, "it polled in the outage");
}

/// Eight workers could have 16,384 entries on their way: eight seconds of this store's work, and it has five for an answer.
#[test]
fn a_store_that_does_less_than_its_fleet_could_is_not_toppled_by_it() {
    let plan = Plan { workers: 8, store_pace: Some(2_000), ..calm(60_000) };
    let report = run(&plan);
    assert_eq!(report.tally[Count::Repeated], 0, "{}", report.tally);
    let seconds = report.stored_by_second.len();
    assert!(seconds <= 30 + 5, "{seconds} s for what takes 30: {:?}", report.stored_by_second);
}

/// The same after an outage, of which each of forty workers comes back with all that it can hold.
#[test]
fn a_store_that_is_back_has_its_own_pace_within_ten_seconds() {
    let (back, pace) = (60, 10_000);
    let plan = Plan {
        scenes: vec![(2 * SECOND, Scene::StoreDown { pause: Duration::from_secs(back) - 2 * SECOND })],
        workers: 40,
        peace_at: Duration::from_secs(back),
        store_pace: Some(pace),
        ..calm(400_000)
    };
    let report = run(&plan);
    let early: Vec<u32> = report.stored_by_second.iter().copied().skip(back as usize).take(20).collect();
    let stored: u32 = early[10..].iter().sum();
    assert!(stored >= 10 * pace / 10 * 9, "{early:?}");
    assert!(report.tally[Count::Repeated] < 1_000, "{}", report.tally);
}

#[test]
fn a_slow_store_slows_the_fleet_and_loses_it_nothing() {
    let plan = Plan {
        scenes: vec![(2 * SECOND, Scene::StoreSlow { pause: 300 * SECOND })],
        workers: 3,
        peace_at: 310 * SECOND,
        ..calm(30_000)
    };
    let report = run(&plan);
    assert_eq!(report.tally[Count::Redeliveries], 0, "{}", report.tally);
    assert!(report.held_max <= plan.limits.messages_max);
}

#[test]
fn one_hot_group_of_a_fifo_queue_holds_up_no_other() {
    // Half of the messages are in one group; eight workers, and a store that is slow for a minute.
    let plan = Plan {
        is_fifo: true,
        supply: Supply::Real,
        workers: 8,
        limits: Limits { kind: QueueKind::Fifo, has_dead_letter_queue: true, ..Limits::default() },
        scenes: vec![(5 * SECOND, Scene::StoreSlow { pause: 60 * SECOND })],
        peace_at: 70 * SECOND,
        ..calm(1500)
    };
    let report = run(&plan);
    assert_eq!(report.tally[Count::Moved], 0);
    assert!(report.done_at < 600 * SECOND, "{:?}", report.done_at);
}
