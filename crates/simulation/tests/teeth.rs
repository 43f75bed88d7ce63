//! The simulation has teeth: every planted defect is caught, by the law it breaks, within so many seeds.

#![allow(clippy::print_stdout, reason = "a test says how fast each defect was caught")]

use std::collections::BTreeMap;

use afterimage_simulation::{Law, Mutant, Plan, Simulator};
use clap::ValueEnum;

/// A defect that survives so many seeds is not caught.
const SEEDS: u64 = 300;

/// Each defect, and the laws that may show it first.
fn laws(mutant: Mutant) -> &'static [Law] {
    match mutant {
        Mutant::DeleteBeforeStore | Mutant::UnknownIsDurable | Mutant::PartialGroupIsDurable => {
            &[Law::DurableBeforeDelete]
        }
        Mutant::FailedLettersIgnored => &[Law::DurableBeforeDelete],
        Mutant::FailedDeletesIgnored
        | Mutant::LostDeletesIgnored
        | Mutant::OldDeleteTakenForNewer
        | Mutant::DeletesMerged
        | Mutant::ReleaseLost => &[Law::BooksAreTrue],
        Mutant::ReceivedAfterStopDropped => &[Law::BooksAreTrue, Law::StopsInTime],
        // It may go on to ask about a message that it does not hold.
        Mutant::OutcomesShifted => &[Law::BooksAreTrue, Law::NewestHandle],
        Mutant::StaleHandleKept => &[Law::NewestHandle],
        Mutant::ExtendedOnce | Mutant::HalfExtended => &[Law::LeasesAreKept],
        Mutant::OutageIsPoison => &[Law::OnlyPoisonIsDeadLettered],
        Mutant::GroupsIgnored => &[Law::GroupsKeepTheirOrder],
        Mutant::ReceivesDoubled => &[Law::Bounds],
    }
}

#[test]
fn every_planted_defect_is_caught() {
    let simulator = Simulator::new();
    let mut caught = BTreeMap::new();
    for mutant in Mutant::value_variants() {
        let found = (0..SEEDS).find_map(|seed| {
            let plan = Plan { mutant: Some(*mutant), ..Plan::of(seed) };
            simulator.run(&plan).err().map(|violation| (seed, violation))
        });
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
