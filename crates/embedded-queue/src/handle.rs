//! Receipt handles.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// What one receive of one message may be deleted or extended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptHandle {
    /// The queue it was received from; never the same for two queues of one process.
    pub(crate) queue: u64,
    /// The message within the queue.
    pub(crate) key: u64,
    /// Which receive of the message this was, from 1.
    pub(crate) receive: u64,
}

impl ReceiptHandle {
    /// A handle of an earlier receive of the message, which has ended; there need not have been one.
    pub(crate) const fn ended(self) -> Self {
        Self { receive: 0, ..self }
    }
}

impl fmt::Display for ReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}{:016x}", self.queue, self.key, self.receive)
    }
}

impl FromStr for ReceiptHandle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() != 48 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::ReceiptHandleIsInvalid);
        }
        let part =
            |from: usize| u64::from_str_radix(&text[from..from + 16], 16).map_err(|_| Error::ReceiptHandleIsInvalid);
        Ok(Self { queue: part(0)?, key: part(16)?, receive: part(32)? })
    }
}
