//! The simulation has teeth: every planted defect is caught, by the law it breaks, within so many seeds.

#![allow(clippy::print_stdout, reason = "a test says how fast each defect was caught")]

use std::collections::BTreeMap;
use std::time::Duration;

use afterimage_consumer::{Limits, QueueKind};
use afterimage_simulation::{Count, Fault, Faults, Law, Mutant, Plan, Scene, Simulator, Supply};
use clap::ValueEnum;

/// A defect that survives so many seeds is not caught.
const SEEDS: u64 = 300;

/// Each defect, and the laws that may show it first.
fn laws(mutant: Mutant) -> &'static [Law] {
    match mutant {
        Mutant::DeleteBeforeStore | Mutant::UnknownIsDurable | Mutant::PartialGroupIsDurable => {
            &[Law::DurableBeforeDelete]
        }
        Mutant::FailedLettersIgnored | Mutant::LostLettersIgnored => &[Law::DurableBeforeDelete],
        Mutant::FailedDeletesIgnored
        | Mutant::LostDeletesIgnored
        | Mutant::OldDeleteTakenForNewer
        | Mutant::DeletesMerged
        | Mutant::ReleaseLost => &[Law::BooksAreTrue],
        Mutant::ReceivedAfterStopDropped => &[Law::BooksAreTrue, Law::StopsInTime],
        // It may go on to ask about a message that it does not hold.
        Mutant::OutcomesShifted => &[Law::BooksAreTrue, Law::NewestHandle],
        Mutant::StaleHandleKept => &[Law::NewestHandle],
        Mutant::ExtendedOnce | Mutant::HalfExtended | Mutant::ReleasedExtended | Mutant::RenewedNotExtended => {
            &[Law::LeasesAreKept]
        }
        Mutant::OutageIsPoison => &[Law::OnlyPoisonIsDeadLettered],
        Mutant::GroupsIgnored | Mutant::PoisonUngrouped | Mutant::LastDeletedFirst => &[Law::GroupsKeepTheirOrder],
        Mutant::ReceivesDoubled => &[Law::Bounds],
        Mutant::CountsIgnored => &[Law::IdleIsEmpty],
        Mutant::PartialGroupIsOutage => &[Law::GroupsFlow],
    }
}

/// The plan of a seed in which a defect can show: of those that need a rare chance, one in which it is less rare.
fn plan(mutant: Mutant, seed: u64) -> Plan {
    let plan = Plan { mutant: Some(mutant), ..Plan::of(seed) };
    match mutant {
        // A message must be given back and come here again before that is answered, and be held for a lease once more.
        Mutant::RenewedNotExtended => Plan {
            workers: 1,
            is_fifo: false,
            faults: Faults::NONE.with(Fault::StorePartial),
            limits: Limits {
                lease: Duration::from_secs(10),
                hold_max: Duration::from_secs(14),
                calls_max: 4,
                kind: QueueKind::Standard,
                has_dead_letter_queue: true,
                exit_when_idle: None,
                ..plan.limits
            },
            receives_max: u32::MAX,
            ..plan
        },
        Mutant::PartialGroupIsOutage => Plan { mutant: Some(mutant), ..stuck_heads(50, 200, 1000, 15) },
        _ => plan,
    }
}

/// So many FIFO groups, of which the store answers for the first message of some only after so long.
fn stuck_heads(stuck: u32, groups: u32, messages: u32, pause_s: u64) -> Plan {
    let pause = Duration::from_secs(pause_s);
    Plan {
        faults: Faults::NONE,
        is_fifo: true,
        supply: Supply::Groups { groups, body_bytes: 1000 },
        messages,
        first_message: 0,
        workers: 1,
        limits: Limits { kind: QueueKind::Fifo, has_dead_letter_queue: true, ..Limits::default() },
        store_timeout: Duration::from_secs(5),
        sending: Duration::ZERO,
        scenes: vec![(Duration::ZERO, Scene::HeadsUnanswered { groups: stuck, pause })],
        peace_at: pause + Duration::from_secs(1),
        settle: Duration::from_secs(600),
        receives_max: u32::MAX,
        in_flight_max: 120_000,
        ..Plan::of(1)
    }
}

#[test]
fn groups_that_do_not_get_on_hold_up_no_others_and_are_bounded_in_memory() {
    let few = Simulator::new().run(&stuck_heads(50, 200, 1000, 15));
    assert!(few.is_ok(), "{few:?}");
    let plan = stuck_heads(3000, 6000, 18_000, 600);
    let report = Simulator::new().run(&plan).unwrap_or_else(|violation| panic!("{violation}"));
    println!("held {} messages, {} bytes at most\n{}", report.held_max, report.held_bytes_max, report.tally);
    assert!(report.held_max <= plan.limits.messages_max, "{}", report.held_max);
    // A head keeps no more than itself in hand: what is behind it stays in the queue.
    assert!(report.held_bytes_max < 3000 * 8 * 1024, "{}", report.held_bytes_max);
    assert!(report.tally[Count::Redeliveries] < 500, "{}", report.tally);
}

#[test]
fn every_planted_defect_is_caught() {
    let simulator = Simulator::new();
    let mut caught = BTreeMap::new();
    for mutant in Mutant::value_variants() {
        let found =
            (0..SEEDS).find_map(|seed| simulator.run(&plan(*mutant, seed)).err().map(|violation| (seed, violation)));
        let Some((seed, violation)) = found else { panic!("{mutant:?} survives {SEEDS} seeds") };
        println!("{mutant:?}: seed {seed}: {violation}");
        assert!(laws(*mutant).contains(&violation.law), "{mutant:?} shows as {violation}");
        caught.insert(format!("{mutant:?}"), seed);
    }
    assert!(caught.len() >= 10);
}

#[test]
fn without_a_defect_the_same_seeds_keep_every_law() {
    let simulator = Simulator::new();
    for seed in 0..SEEDS {
        if let Err(violation) = simulator.run(&Plan::of(seed)) {
            panic!("seed {seed}: {violation}");
        }
    }
}
