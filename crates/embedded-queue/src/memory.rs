//! The bytes held, and their limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;

/// The bytes that everything remembered may take together: messages, deduplication ids, attempts.
#[derive(Debug)]
pub(crate) struct Memory {
    used_bytes: AtomicUsize,
    bytes_max: usize,
}

impl Memory {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { used_bytes: AtomicUsize::new(0), bytes_max })
    }

    /// Takes `bytes` until the weight is dropped.
    ///
    /// # Errors
    /// [`Error::RequestThrottled`] when there is no room for them.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Result<Weight, Error> {
        let weight = Weight { memory: Arc::clone(self), bytes };
        let used_before = self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Beyond the limit `weight` is dropped, which gives the bytes back.
        if used_before + bytes > self.bytes_max { Err(Error::RequestThrottled) } else { Ok(weight) }
    }
}

/// Bytes taken from [`Memory`] until dropped.
#[derive(Debug)]
pub(crate) struct Weight {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.memory.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
