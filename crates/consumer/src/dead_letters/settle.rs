//! Storing what a dead letter holds, here and now.

use afterimage_store::{Arrival, Ledger};

use super::letter::Letter;
use crate::process::{Processor, Rejection, process_safely};
use crate::proof::{Debt, Delete, Payment};

/// What storing a letter came to.
#[derive(Debug)]
pub enum Settled {
    /// Everything it holds is durable, or it holds nothing to store: it may be deleted.
    Done(Delete),
    /// Something of it cannot be stored, as before. What can be is durable.
    Rejected(Vec<Rejection>),
    /// The store did not answer for all of it: it may be tried again.
    Unavailable,
}

/// Processes a letter as a worker would, and makes its entries durable.
pub async fn settle(letter: &Letter, processor: &dyn Processor, ledger: &Ledger, arrival: &Arrival) -> Settled {
    let mut debt = Debt::new(process_safely(processor, &letter.message, arrival.at));
    let entries: Vec<_> = debt.owed().iter().map(|owed| owed.entry.clone()).collect();
    if !entries.is_empty() {
        let outcomes = ledger.append(&entries, arrival).await;
        debt.pay(outcomes.into_iter().map(Payment::from));
    }
    match debt.settled() {
        Some(proof) => Settled::Done(Delete::new(letter.message.handle.clone(), proof)),
        None if debt.rejections().is_empty() => Settled::Unavailable,
        None => Settled::Rejected(debt.rejections().to_vec()),
    }
}
