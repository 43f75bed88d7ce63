//! Decides, counts, and can be changed while the endpoint runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Fault, Faults, Operation};
use crate::handle::ReceiptHandle;
use crate::queue::Received;

/// The faults in force and what they did so far.
#[derive(Debug, Default)]
pub(crate) struct Injector {
    live: Mutex<Live>,
    counts: Mutex<HashMap<Fault, u64>>,
    /// Spares requests the lock while there are no rules.
    rules: AtomicU64,
}

#[derive(Debug, Default)]
struct Live {
    faults: Faults,
    /// For each rule, how many requests (or messages) it concerned so far.
    seen: Vec<u64>,
}

/// How often each fault was injected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts(HashMap<Fault, u64>);

impl FaultCounts {
    /// How often `fault` was injected.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or_default()
    }

    /// How many faults were injected.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl Injector {
    pub(crate) fn new(faults: Faults) -> Self {
        let injector = Self::default();
        injector.set(faults);
        injector
    }

    /// Replaces the faults; every rule counts from 1 again. What was injected stays counted.
    pub(crate) fn set(&self, faults: Faults) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        self.rules.store(faults.rules.len() as u64, Ordering::Relaxed);
        *live = Live { seen: vec![0; faults.rules.len()], faults };
    }

    pub(crate) fn counts(&self) -> FaultCounts {
        FaultCounts(self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Notes that `fault` was injected.
    pub(super) fn note(&self, fault: Fault) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(fault).or_default() += 1;
    }

    /// Is this connection one that an outage cuts as it comes? It counts as an attempt only within the outage: else its
    /// requests do.
    pub(super) fn refuses_connection(&self) -> bool {
        if self.rules.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let Live { faults, seen } = &mut *live;
        let mut refused = false;
        for (rule, seen) in faults.rules.iter().zip(seen) {
            let is_general = rule.fault == Fault::Outage && rule.operation.is_none();
            if is_general && rule.strikes(faults.seed, *seen + 1).is_some() {
                *seen += 1;
                refused = true;
            }
        }
        refused
    }

    /// What strikes the next request of this operation, as [`Plan`] says.
    pub(super) fn plan(&self, operation: Operation) -> Plan {
        let mut plan = Plan::default();
        self.strike(
            operation,
            |fault| !fault.concerns_messages(),
            |fault, duration| match fault {
                Fault::Latency => plan.latency += duration,
                // The order of precedence is that of the kinds.
                fault if plan.fault.is_none_or(|(first, _)| (fault as u8) < (first as u8)) => {
                    plan.fault = Some((fault, duration));
                }
                _ => {}
            },
        );
        if plan.latency > Duration::ZERO {
            self.note(Fault::Latency);
        }
        plan
    }

    /// Asks every rule of `kinds` that concerns `operation`; each counts this as one more.
    fn strike(&self, operation: Operation, kinds: impl Fn(Fault) -> bool, mut struck: impl FnMut(Fault, Duration)) {
        if self.rules.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let Live { faults, seen } = &mut *live;
        for (rule, seen) in faults.rules.iter().zip(seen) {
            if kinds(rule.fault) && rule.concerns(operation) {
                *seen += 1;
                if let Some(duration) = rule.strikes(faults.seed, *seen) {
                    struck(rule.fault, duration);
                }
            }
        }
    }
}

/// What strikes a request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) latency: Duration,
    /// At most one other, with the time it takes.
    pub(super) fault: Option<(Fault, Duration)>,
}

/// The faults of one request, for those who carry it out: they concern its messages one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFaults<'a> {
    pub(super) injector: &'a Injector,
    pub(crate) operation: Operation,
}

impl RequestFaults<'_> {
    /// Does the next entry of this batch fail?
    pub(crate) fn fails_entry(&self) -> bool {
        self.next(Fault::FailedEntry).is_some()
    }

    /// Is the next delete answered with success and not carried out?
    pub(crate) fn loses_delete(&self) -> bool {
        self.next(Fault::LostDelete).is_some()
    }

    /// Spoils received messages: `show` makes one visible again at once, if it can.
    pub(crate) fn spoil(&self, received: &mut [Received], mut show: impl FnMut(ReceiptHandle) -> bool) {
        for Received { handle, .. } in received {
            if self.strikes(Fault::Duplicate) && show(*handle) {
                self.injector.note(Fault::Duplicate);
            }
            if self.strikes(Fault::StaleHandle) {
                *handle = handle.ended();
                self.injector.note(Fault::StaleHandle);
            }
        }
    }

    /// For how many milliseconds the next sent message is held back; never on a FIFO queue.
    pub(crate) fn holds_back_ms(&self, fifo: bool) -> u64 {
        if fifo {
            return 0;
        }
        self.next(Fault::Reorder).map_or(0, |duration| duration.as_millis() as u64)
    }

    fn strikes(&self, fault: Fault) -> bool {
        self.duration(fault).is_some()
    }

    fn next(&self, fault: Fault) -> Option<Duration> {
        self.duration(fault).inspect(|_| self.injector.note(fault))
    }

    fn duration(&self, fault: Fault) -> Option<Duration> {
        let mut longest = None;
        let longer = |_, duration| longest = longest.max(Some(duration));
        self.injector.strike(self.operation, |kind| kind == fault, longer);
        longest
    }
}
