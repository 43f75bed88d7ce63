//! What goes wrong: each seed turns every kind on or off at random, so that most runs have some and none has them all.

use std::fmt;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A worker dies between two of its actions, and is started again.
    Crash,
    /// A worker is told to stop, as in a rolling upgrade.
    Stop,
    /// A worker that was told to stop is killed before its grace period is over.
    ForcedKill,
    /// Workers are added and taken away.
    Scale,
    /// A process stands still (`SIGSTOP`, a paused virtual machine), often for longer than its leases.
    Freeze,
    /// The monotonic clock of a worker jumps ahead.
    ClockJump,
    /// The clocks of workers run at different speeds, and their wall clocks are hours apart.
    ClockSkew,
    /// Messages of a receive are not begun: there was no room for what they might come to.
    NoRoom,
    /// The queue answers no call for a while.
    QueueDown,
    /// The queue refuses calls now and then: throttling, its own errors.
    QueueErrors,
    /// Items of a batch fail inside a good answer.
    ItemErrors,
    /// The answer to a batch leaves items out that were carried out.
    MissingItems,
    /// The queue allows few messages in flight.
    InFlightLimit,
    /// The queue delivers messages that somebody holds.
    Duplicates,
    /// The queue delivers messages that were deleted.
    Undelete,
    /// Requests to the queue get lost on their way there.
    LostRequests,
    /// Answers of the queue get lost on their way back.
    LostReplies,
    /// Requests and answers take seconds.
    LateReplies,
    /// The dead-letter queue takes nothing for a while.
    LettersDown,
    /// There is no dead-letter queue for the worker: poison is left to the redrive policy.
    NoLetters,
    /// The store answers no call for a while.
    StoreDown,
    /// The store applies entries, and its answers are lost.
    StoreReplyLost,
    /// The store holds requests back for longer than anybody waits, and then applies them.
    StoreLate,
    /// The store takes some entries of a group and is silent about others.
    StorePartial,
    /// The store takes seconds.
    StoreSlow,
    /// The store refuses some values for good.
    StoreRefuses,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 26] = [
        Self::Crash,
        Self::Stop,
        Self::ForcedKill,
        Self::Scale,
        Self::Freeze,
        Self::ClockJump,
        Self::ClockSkew,
        Self::NoRoom,
        Self::QueueDown,
        Self::QueueErrors,
        Self::ItemErrors,
        Self::MissingItems,
        Self::InFlightLimit,
        Self::Duplicates,
        Self::Undelete,
        Self::LostRequests,
        Self::LostReplies,
        Self::LateReplies,
        Self::LettersDown,
        Self::NoLetters,
        Self::StoreDown,
        Self::StoreReplyLost,
        Self::StoreLate,
        Self::StorePartial,
        Self::StoreSlow,
        Self::StoreRefuses,
    ];

    /// Does it come at a moment, and go again? The others are there all the time, or at random.
    pub(crate) fn comes_and_goes(self) -> bool {
        matches!(
            self,
            Self::Crash
                | Self::Stop
                | Self::Scale
                | Self::Freeze
                | Self::ClockJump
                | Self::QueueDown
                | Self::LettersDown
                | Self::StoreDown
                | Self::StoreReplyLost
                | Self::StoreLate
                | Self::StorePartial
                | Self::StoreSlow
        )
    }

    /// Kinds that may cost a healthy message a delivery without anybody's fault: with them the queue's own redrive
    /// policy may take one.
    const COSTLY: [Self; 15] = [
        Self::Crash,
        Self::Stop,
        Self::ForcedKill,
        Self::Scale,
        Self::Freeze,
        Self::ClockJump,
        Self::QueueDown,
        Self::QueueErrors,
        Self::ItemErrors,
        Self::MissingItems,
        Self::Duplicates,
        Self::Undelete,
        Self::LostRequests,
        Self::LostReplies,
        Self::LateReplies,
    ];
}

/// A set of [`Fault`]s.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    /// None.
    pub const NONE: Self = Self(0);

    /// Those that this chance picks.
    pub(crate) fn picked(rng: &mut fastrand::Rng, one_in: u32) -> Self {
        Self(Fault::ALL.iter().filter(|_| rng.u32(0..one_in) == 0).fold(0, |set, fault| set | bit(*fault)))
    }

    /// Is it among them?
    #[must_use]
    pub fn has(self, fault: Fault) -> bool {
        self.0 & bit(fault) != 0
    }

    /// The same with this one.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | bit(fault))
    }

    /// The same without this one.
    #[must_use]
    pub fn without(self, fault: Fault) -> Self {
        Self(self.0 & !bit(fault))
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.has(*fault))
    }

    /// Can a healthy message be delivered often without anybody's fault?
    pub(crate) fn are_costly(self) -> bool {
        Fault::COSTLY.iter().any(|fault| self.has(*fault))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

fn bit(fault: Fault) -> u32 {
    1 << fault as u32
}
