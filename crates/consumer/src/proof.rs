//! Why a message may be deleted: a type, not a habit.

use std::sync::Arc;

use afterimage_store::{AppendError, Durable, Entry};
use opentelemetry::trace::SpanContext;

use crate::dead_letter::DeadLettered;
use crate::dead_letters::SentBack;
use crate::message::Handle;
use crate::process::{Processed, Rejection};

/// Proof that nothing is lost when a message goes. The ways to make one are in this file, and nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof(());

/// The order to delete one message: there is none without proof that nothing is lost by it.
#[derive(Clone, Debug)]
pub struct Delete {
    handle: Handle,
    _proof: Proof,
    trace: Option<SpanContext>,
}

impl Delete {
    pub(crate) fn new(handle: Handle, proof: Proof) -> Self {
        Self { handle, _proof: proof, trace: None }
    }

    /// With the span of the message.
    pub(crate) fn traced(self, trace: Option<SpanContext>) -> Self {
        Self { trace, ..self }
    }

    /// The span of the message, where it is recorded.
    #[must_use]
    pub fn trace(&self) -> Option<&SpanContext> {
        self.trace.as_ref()
    }

    /// The delivery to delete.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Proof {
    /// It went to the dead letters, whole.
    pub(crate) fn dead_lettered(_proof: DeadLettered) -> Self {
        Self(())
    }

    /// It is in another queue, whole, from where a worker takes it.
    pub(crate) fn sent_back(_proof: SentBack) -> Self {
        Self(())
    }
}

/// An entry that is not durable yet.
#[derive(Clone, Debug)]
pub(crate) struct Owed {
    pub(crate) event_index: usize,
    pub(crate) entry: Arc<Entry>,
}

/// What a message still owes before it may be deleted.
#[derive(Debug)]
pub(crate) struct Debt {
    entries: usize,
    holds_several: bool,
    paid: Vec<Durable>,
    owed: Vec<Owed>,
    rejections: Vec<Rejection>,
}

impl Debt {
    pub(crate) fn new(processed: Processed) -> Self {
        let holds_several = processed.events() > 1;
        let Processed { entries, rejections, .. } = processed;
        let owed: Vec<Owed> = entries.into_iter().map(|(event_index, entry)| Owed { event_index, entry }).collect();
        Self { entries: owed.len(), holds_several, paid: Vec::new(), owed, rejections }
    }

    /// The entries that are not durable yet.
    pub(crate) fn owed(&self) -> &[Owed] {
        &self.owed
    }

    /// Why this message goes to the dead letters; empty when it does not.
    pub(crate) fn rejections(&self) -> &[Rejection] {
        &self.rejections
    }

    /// Takes what an append of [`Self::owed`] came to, one outcome for each, in order.
    pub(crate) fn pay(&mut self, outcomes: impl Iterator<Item = Payment>) {
        let mut still_owed = Vec::new();
        for (owed, outcome) in std::mem::take(&mut self.owed).into_iter().zip(outcomes) {
            match outcome {
                Payment::Durable(proof) => self.paid.push(proof),
                Payment::Refused(mut rejection) => {
                    rejection.event_index = self.holds_several.then_some(owed.event_index);
                    self.rejections.push(rejection);
                }
                Payment::Unknown => still_owed.push(owed),
            }
        }
        self.owed = still_owed;
    }

    /// The proof, once every entry is durable (or there was none to store) and nothing was rejected.
    pub(crate) fn settled(&self) -> Option<Proof> {
        (self.rejections.is_empty() && self.owed.is_empty() && self.paid.len() == self.entries).then_some(Proof(()))
    }
}

/// What became of one owed entry.
pub(crate) enum Payment {
    Durable(Durable),
    Refused(Rejection),
    Unknown,
}

impl From<Result<Durable, AppendError>> for Payment {
    fn from(result: Result<Durable, AppendError>) -> Self {
        match result {
            Ok(proof) => Self::Durable(proof),
            Err(AppendError::Refused { reason }) => {
                Self::Refused(Rejection { event_index: None, code: "store_refused", reason, place: String::new() })
            }
            Err(_) => Self::Unknown,
        }
    }
}
