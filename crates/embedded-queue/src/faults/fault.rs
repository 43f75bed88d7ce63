//! The kinds of faults.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Operation;

macro_rules! faults {
    ($($(#[$doc:meta])+ $fault:ident = $name:literal,)+) => {
        /// What goes wrong. The last five concern single messages, and their rules count messages; all others concern whole
        /// requests, of which each meets at most one, [`Fault::Latency`] apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[$doc])+ $fault),+
        }

        impl Fault {
            /// Every fault, in the order in which they take precedence when several would strike one request.
            pub const ALL: &'static [Self] = &[$(Self::$fault),+];

            /// The name in the text form: `cut-after`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name),+
                }
            }
        }
    };
}

faults! {
    /// The endpoint is away: open connections are cut before the request is carried out, new ones are cut as they come.
    /// Rules count requests and connections then, so an outage from request 100 to 200 ends after that many attempts.
    Outage = "outage",
    /// The connection is cut before the request is carried out.
    CutBefore = "cut-before",
    /// The request is not carried out and never answered.
    BlackHoleBefore = "black-hole-before",
    /// `RequestThrottled`, HTTP 400: the queue's own limit.
    Throttle = "throttle",
    /// `ThrottlingException` "Rate exceeded", HTTP 400: the limit in front of the service.
    RateExceeded = "rate-exceeded",
    /// HTTP 500 with `InternalFailure` in the body.
    Error500 = "error-500",
    /// HTTP 503 with `ServiceUnavailable` in the body.
    Error503 = "error-503",
    /// HTTP 500 without a body, as load balancers send it.
    Bare500 = "bare-500",
    /// HTTP 503 without a body, as load balancers send it.
    Bare503 = "bare-503",
    /// The request is carried out, and the connection cut before the answer.
    CutAfter = "cut-after",
    /// The request is carried out and never answered.
    BlackHoleAfter = "black-hole-after",
    /// The request is carried out, and the connection cut in the middle of the answer's body.
    CutBody = "cut-body",
    /// The request is carried out, and the answer is status 200 with half the body and then something else.
    GarbledBody = "garbled-body",
    /// The answer's body comes in pieces, and takes as long as its rule says.
    SlowBody = "slow-body",
    /// The request waits before it is carried out, as long as its rule says.
    Latency = "latency",
    /// A received message becomes visible again at once, while it is leased. Not on FIFO queues, which promise otherwise.
    Duplicate = "duplicate",
    /// A received message comes with a handle that has ended: extending with it is refused, and deleting deletes nothing.
    StaleHandle = "stale-handle",
    /// An entry of a batch is not carried out: `InternalError`, not the sender's fault, in `Failed` of a 200.
    FailedEntry = "failed-entry",
    /// A delete is answered with success and deletes nothing.
    LostDelete = "lost-delete",
    /// A sent message is held back, as long as its rule says, so that later ones overtake it. Not on FIFO queues.
    Reorder = "reorder",
}

impl Fault {
    /// The fault of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    /// Does the fault concern single messages, rather than requests?
    #[must_use]
    pub const fn concerns_messages(self) -> bool {
        matches!(self, Self::Duplicate | Self::StaleHandle | Self::FailedEntry | Self::LostDelete | Self::Reorder)
    }

    /// How long it takes, unless a rule says otherwise; `None` for faults that take no time of their own.
    #[must_use]
    pub const fn default_duration(self) -> Option<RangeInclusive<Duration>> {
        match self {
            Self::Latency | Self::Reorder => Some(Duration::ZERO..=Duration::from_millis(200)),
            Self::SlowBody => Some(Duration::from_millis(200)..=Duration::from_millis(200)),
            _ => None,
        }
    }

    /// Can the fault happen in this operation?
    #[must_use]
    pub const fn concerns(self, operation: Operation) -> bool {
        use Operation as O;
        match self {
            Self::Duplicate | Self::StaleHandle => matches!(operation, O::ReceiveMessage),
            Self::FailedEntry => {
                matches!(operation, O::SendMessageBatch | O::DeleteMessageBatch | O::ChangeMessageVisibilityBatch)
            }
            Self::LostDelete => matches!(operation, O::DeleteMessage | O::DeleteMessageBatch),
            Self::Reorder => matches!(operation, O::SendMessage | O::SendMessageBatch),
            _ => true,
        }
    }
}
