//! What a seed stands for: how large the fleet is, what bounds it has, what goes wrong.

use std::time::Duration;

use afterimage_consumer::{Limits, QueueKind, Time};

use crate::fault::{Fault, Faults};
use crate::mutant::Mutant;

/// After a call to the queue was sent, the client gives up on it.
pub(crate) const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// A run, but for what chance makes of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed: of this plan, and of all that happens in the run.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// Messages that are sent.
    pub messages: u32,
    /// The first of them in the corpus.
    pub first_message: u32,
    /// Is it a FIFO queue?
    pub is_fifo: bool,
    /// Over how long they are sent.
    pub sending: Duration,
    /// Workers at the start.
    pub workers: usize,
    /// The bounds of each worker.
    pub limits: Limits,
    /// An append that takes longer counts as an outage.
    pub store_timeout: Duration,
    /// Entries that the store takes in a second, one group after the other; as many as are sent, unless told.
    pub store_pace: Option<u32>,
    /// From then on nothing goes wrong any more.
    pub peace_at: Time,
    /// So long after that everything must be done.
    pub settle: Duration,
    /// The queue's redrive policy: deliveries of a message before it goes to the dead letters.
    pub receives_max: u32,
    /// Messages that the queue allows in flight.
    pub in_flight_max: usize,
    /// How often entries are decoded and compared anew: one in so many.
    pub anew_one_in: u32,
    /// What happens at set times, whatever chance says.
    pub scenes: Vec<(Time, Scene)>,
    /// What the messages are.
    pub supply: Supply,
    /// A defect to plant.
    pub mutant: Option<Mutant>,
}

/// Something that happens at a set time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// From now on so many workers: more are started, or the last are told to stop.
    Scale {
        /// How many.
        workers: usize,
    },
    /// The store refuses every connection.
    StoreDown {
        /// For so long.
        pause: Duration,
    },
    /// The store takes seconds.
    StoreSlow {
        /// For so long.
        pause: Duration,
    },
    /// The store says nothing of the first message of some groups of [`Supply::Groups`], and works.
    HeadsUnanswered {
        /// Of so many groups.
        groups: u32,
        /// For so long. At its end all other groups must be done.
        pause: Duration,
    },
}

/// What the messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// Of every format and every kind of poison.
    Real,
    /// Equal ones, one event in each.
    Plain {
        /// Bytes of a body.
        body_bytes: usize,
    },
    /// Equal ones, in FIFO groups of equal length.
    Groups {
        /// How many.
        groups: u32,
        /// Bytes of a body.
        body_bytes: usize,
    },
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        // One run in eight is left in peace, one has much going on at once, most have a few kinds of fault.
        let faults = match rng.u8(0..8) {
            0 => Faults::NONE,
            1 => Faults::picked(&mut rng, 2),
            _ => Faults::picked(&mut rng, 5),
        };
        let is_fifo = rng.u8(0..3) == 0;
        let lease = Duration::from_secs(rng.u64(10..60));
        let limits = Limits {
            messages_max: rng.usize(10..80),
            bytes_max: 16 << 20,
            pollers_max: rng.usize(1..6),
            lease,
            // Half of the fleets give back what they hold for little longer than a lease.
            hold_max: lease + Duration::from_secs(if rng.bool() { rng.u64(0..20) } else { rng.u64(20..600) }),
            group_entries_max: rng.usize(1..40),
            groups_max: rng.usize(1..4),
            calls_max: rng.usize(1..5),
            grace: Duration::from_secs(rng.u64(1..30)),
            has_dead_letter_queue: !faults.has(Fault::NoLetters),
            kind: if is_fifo { QueueKind::Fifo } else { QueueKind::Standard },
            ..Limits::default()
        };
        let peace_at = Duration::from_secs(rng.u64(60..400));
        let messages = rng.u32(10..100);
        let lowest = 4 + (peace_at.as_secs() / limits.hold_max.as_secs()) as u32;
        let receives_max = if faults.has(Fault::NoLetters) || rng.bool() { lowest + rng.u32(0..4) } else { u32::MAX };
        // What is left to the redrive policy takes a lease for each delivery; in a FIFO group, or where few may be in flight,
        // one after the other.
        let one_by_one = if is_fifo || faults.has(Fault::InFlightLimit) { 1 + messages / 8 } else { 1 };
        let redrive = if faults.has(Fault::NoLetters) { lease * receives_max * one_by_one } else { Duration::ZERO };
        let mut plan = Self {
            seed,
            faults,
            messages,
            first_message: rng.u32(0..1000),
            is_fifo,
            sending: peace_at.mul_f64(rng.f64()),
            workers: rng.usize(1..4),
            store_timeout: Duration::from_secs(rng.u64(1..10)),
            store_pace: None,
            peace_at,
            settle: 5 * lease + redrive + Duration::from_secs(120),
            receives_max,
            in_flight_max: if faults.has(Fault::InFlightLimit) { rng.usize(10..40) } else { 120_000 },
            anew_one_in: 16,
            scenes: Vec::new(),
            supply: Supply::Real,
            mutant: None,
            limits,
        };
        // One fleet in six ends when its queue is empty, and is started again.
        plan.limits.exit_when_idle = (rng.u8(0..6) == 0).then(|| Duration::from_secs(rng.u64(1..20)));
        plan.limits = plan.limits.with_store_timeout(plan.store_timeout);
        plan
    }

    /// The same seed with one kind of fault less.
    #[must_use]
    pub fn without(&self, fault: Fault) -> Self {
        let mut plan = self.clone();
        plan.faults = plan.faults.without(fault);
        if fault == Fault::NoLetters {
            plan.limits.has_dead_letter_queue = true;
        }
        if fault == Fault::InFlightLimit {
            plan.in_flight_max = 120_000;
        }
        plan
    }
}
