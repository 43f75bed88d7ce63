//! The memory budget: no body is read from the network before there is room for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are handed out in units of this: a semaphore counts to 2^29 only.
const UNIT_BYTES: usize = 1024;

/// Bytes that messages may take up in this process, all pollers together.
///
/// The order of waiting is first come, first served, and nobody waits for more while it holds some, so waiting always
/// ends: what is held belongs to messages that finish without asking for more.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// A share of a [`Budget`]; given back when it drops.
#[derive(Debug)]
pub struct Permit(Option<OwnedSemaphorePermit>);

impl Budget {
    /// A budget of so many bytes, at least one unit of 1 KiB.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let units_max =
            u32::try_from(bytes_max / UNIT_BYTES).unwrap_or(u32::MAX).clamp(1, Semaphore::MAX_PERMITS as u32);
        Self { units: Arc::new(Semaphore::new(units_max as usize)), units_max }
    }

    /// Waits until so many bytes are free and takes them. More than the whole budget is cut to the whole of it, so
    /// that one answer larger than the budget still passes: alone.
    pub async fn acquire(&self, bytes: usize) -> Permit {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units_max);
        // The semaphore is never closed, so there is always an answer.
        Permit(Arc::clone(&self.units).acquire_many_owned(units).await.ok())
    }

    /// Takes so many bytes (cut to the whole of it) if they are free now, and nobody waits for them.
    #[must_use]
    pub fn try_acquire(&self, bytes: usize) -> Option<Permit> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units_max);
        Arc::clone(&self.units).try_acquire_many_owned(units).ok().map(|held| Permit(Some(held)))
    }

    /// Bytes that are free now.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.units.available_permits() * UNIT_BYTES
    }
}

impl Permit {
    /// Takes so many bytes (rounded up) out of this permit, or all that is left.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT_BYTES);
        Self(self.0.as_mut().and_then(|held| held.split(units.min(held.num_permits()))))
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.num_permits() * UNIT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn permits_shrink_and_end_with_their_holder() {
        let budget = Budget::new(64 * UNIT_BYTES);
        let mut whole = budget.acquire(64 * UNIT_BYTES).await;
        let part = whole.split(UNIT_BYTES + 1);
        assert_eq!((part.bytes(), budget.free_bytes()), (2 * UNIT_BYTES, 0));
        drop(whole);
        assert_eq!(budget.free_bytes(), 62 * UNIT_BYTES);
        drop(part);
        assert_eq!(budget.free_bytes(), 64 * UNIT_BYTES);
    }

    #[tokio::test]
    async fn more_than_the_whole_budget_waits_for_the_whole_of_it() {
        let budget = Budget::new(8 * UNIT_BYTES);
        let small = budget.acquire(1).await;
        let large = budget.acquire(1 << 30);
        tokio::pin!(large);
        let waits = std::future::poll_fn(|cx| std::task::Poll::Ready(large.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "no room while somebody holds a part");
        drop(small);
        assert_eq!(large.await.bytes(), 8 * UNIT_BYTES);
    }
}
