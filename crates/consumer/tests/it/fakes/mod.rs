//! A queue, a store and a processor that behave like the real ones at their worst, and remember everything.

mod processor;
mod queue;
mod slow;
mod store;

pub(crate) use processor::{Words, arrival, message};
pub(crate) use queue::{Faults, SimQueue};
pub(crate) use slow::Slow;
pub(crate) use store::SimStore;

/// The result of a future that never waits: those of the fakes.
pub(crate) fn now_or_never<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a fake waited"),
    }
}
