//! Proofs for what the simulated store and dead-letter queue say.
//!
//! Proofs are made by the consumer's and the store's own code alone, from the word of a [`Store`] or a [`Queue`]. This is
//! such a store and such a queue: its word is what the simulation has decided.

use std::sync::{Arc, Mutex, PoisonError};

use afterimage_consumer::dead_letter::{self, DeadLetter, DeadLettered};
use afterimage_consumer::{Ask, Counts, Delete, Handle, ItemError, Queue, QueueError, Receipt};
use afterimage_event::Timestamp;
use afterimage_store::{AppendError, Arrival, Durable, Entry, Ledger, Store, StoreError};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

/// Turns words into proofs.
pub(crate) struct Notary {
    words: Arc<Words>,
    ledger: Ledger,
    arrival: Arrival,
}

#[derive(Default)]
struct Words {
    appends: Mutex<Vec<Result<(), AppendError>>>,
    letters: Mutex<Vec<Result<(), ItemError>>>,
}

impl Notary {
    pub(crate) fn new() -> Self {
        let words = Arc::new(Words::default());
        let at = Timestamp::from_micros(0).unwrap_or_else(|_| unreachable!("1970 can be shown"));
        let arrival = Arrival { worker: String::new(), at };
        Self { ledger: Ledger::new(Arc::clone(&words) as Arc<dyn Store>), words, arrival }
    }

    pub(crate) fn stored(
        &self,
        entries: &[Arc<Entry>],
        results: Vec<Result<(), AppendError>>,
    ) -> Vec<Result<Durable, AppendError>> {
        *self.words.appends.lock().unwrap_or_else(PoisonError::into_inner) = results;
        now(self.ledger.append(entries, &self.arrival))
    }

    pub(crate) fn dead_lettered(
        &self,
        letters: &[DeadLetter],
        results: Vec<Result<(), ItemError>>,
    ) -> Result<Vec<Result<DeadLettered, ItemError>>, QueueError> {
        *self.words.letters.lock().unwrap_or_else(PoisonError::into_inner) = results;
        now(dead_letter::send(&*self.words, letters))
    }
}

/// The result of a future that never waits.
fn now<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => unreachable!("words are there at once"),
    }
}

fn not_asked() -> ! {
    unreachable!("the simulation asks for proofs only")
}

#[async_trait]
impl Store for Words {
    fn kind(&self) -> &'static str {
        "simulation"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        not_asked()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        not_asked()
    }

    async fn append(&self, _: &[Arc<Entry>], _: &Arrival) -> Vec<Result<(), AppendError>> {
        std::mem::take(&mut *self.appends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn close(&self) {}
}

#[async_trait]
impl Queue for Words {
    async fn receive(&self, _: Ask, _: &CancellationToken) -> Result<Receipt, QueueError> {
        not_asked()
    }

    async fn delete(&self, _: &[Delete]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        not_asked()
    }

    async fn change_visibility(&self, _: &[Handle], _: u32) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        not_asked()
    }

    async fn send_dead_letters(&self, _: &[DeadLetter]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        Ok(std::mem::take(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        not_asked()
    }
}
