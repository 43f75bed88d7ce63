//! Runs plans, tells the story of one, and finds out what it takes to break a law.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::corpus::Corpus;
use crate::law::{Law, Violation};
use crate::notary::Notary;
use crate::plan::{Plan, Supply};
use crate::report::Report;
use crate::story::Story;
use crate::world::World;

/// Runs plans. Keep one for each thread: making its messages takes as long as many runs.
pub struct Simulator {
    standard: Corpus,
    fifo: Corpus,
    notary: Notary,
}

impl Default for Simulator {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulator {
    /// A simulator with its messages.
    #[must_use]
    pub fn new() -> Self {
        Self { standard: Corpus::real(false), fifo: Corpus::real(true), notary: Notary::new() }
    }

    /// Runs a plan.
    ///
    /// # Errors
    /// The first law that is broken.
    pub fn run(&self, plan: &Plan) -> Result<Report, Violation> {
        self.play(plan, Story::silent()).0
    }

    /// Runs a plan and tells what happens.
    pub fn tell(&self, plan: &Plan) -> (Result<Report, Violation>, Story) {
        self.play(plan, Story::told())
    }

    /// The plan with as few kinds of fault as still break a law, and half the messages again and again.
    #[must_use]
    pub fn shrink(&self, plan: &Plan) -> Plan {
        let mut smallest = plan.clone();
        let breaks = |plan: &Plan| self.run(plan).is_err();
        for fault in plan.faults.iter() {
            let less = smallest.without(fault);
            if breaks(&less) {
                smallest = less;
            }
        }
        while smallest.messages > 1 {
            let less = Plan { messages: smallest.messages / 2, ..smallest.clone() };
            if !breaks(&less) {
                break;
            }
            smallest = less;
        }
        while smallest.workers > 1 {
            let less = Plan { workers: smallest.workers - 1, ..smallest.clone() };
            if !breaks(&less) {
                break;
            }
            smallest = less;
        }
        smallest
    }

    fn play(&self, plan: &Plan, story: Story) -> (Result<Report, Violation>, Story) {
        let plain;
        let corpus = match plan.supply {
            Supply::Real if plan.is_fifo => &self.fifo,
            Supply::Real => &self.standard,
            Supply::Plain { body_bytes } => {
                plain = Corpus::Plain { count: plan.messages, body_bytes, groups: 0 };
                &plain
            }
            Supply::Groups { groups, body_bytes } => {
                plain = Corpus::Plain { count: plan.messages, body_bytes, groups };
                &plain
            }
        };
        let mut world = World::new(plan, corpus, &self.notary, story);
        let result = catch_unwind(AssertUnwindSafe(|| world.run()));
        let result = match result {
            Ok(Ok(())) => Ok(std::mem::take(&mut world.report)),
            Ok(Err(violation)) => Err(violation),
            Err(_) => Err(Violation::of(Law::NoPanic, world.now, "a worker panicked: see standard error")),
        };
        (result, std::mem::take(&mut world.story))
    }
}
