//! Fleets from a fixed range of seeds, for every change. `make simulate` runs other seeds each time, as many as wanted.

#![allow(clippy::print_stdout, reason = "a test says what it went through")]

use afterimage_simulation::{Count, Plan, Simulator, Tally};

const SEEDS: u64 = 6000;

#[test]
fn no_fleet_loses_or_doubles_or_spoils_an_event() {
    let simulator = Simulator::new();
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        match simulator.run(&Plan::of(seed)) {
            Ok(report) => tally += report.tally,
            Err(violation) => {
                let smallest = simulator.shrink(&Plan::of(seed));
                let (result, story) = simulator.tell(&smallest);
                let story = match result.as_ref().err().and_then(|violation| violation.message) {
                    Some(message) => story.of_message(message),
                    None => story.all(),
                };
                panic!(
                    "{story}\n{smallest:#?}\nseed {seed}: {violation}\nsmallest: {result:?}\nmake simulate STORY={seed}"
                );
            }
        }
    }
    println!("{tally}");
    // A simulation in which nothing goes wrong shows nothing.
    for count in Count::ALL {
        assert!(tally[count] > 0, "{count:?} never happened");
    }
    assert!(tally[Count::Redeliveries] > tally[Count::Runs], "{tally}");
}

#[test]
fn a_seed_tells_the_same_story_again() {
    let simulator = Simulator::new();
    for seed in 0..50 {
        let (_, first) = simulator.tell(&Plan::of(seed));
        let (_, second) = Simulator::new().tell(&Plan::of(seed));
        assert_eq!(first.all(), second.all(), "seed {seed}");
    }
}
