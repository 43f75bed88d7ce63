//! What goes between a worker and the world: the core's actions as plain requests, without their proofs.
//!
//! A worker can delete only with a proof. The simulated queue does not look at proofs: that nothing is deleted too early
//! is checked at the queue, so that a planted defect can try it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::dead_letter::DeadLetter;
use afterimage_consumer::{Counts, Handle, ItemError, Message, QueueError};
use afterimage_store::{AppendError, Entry, StoreError};

use crate::corpus::{MessageNo, number_of};

/// A call.
#[derive(Debug)]
pub(crate) enum Request {
    Receive { wait: Duration },
    Process { message: Arc<Message> },
    Store { entries: Vec<Arc<Entry>> },
    Ping,
    Delete { handles: Vec<Handle> },
    Extend { handles: Vec<Handle>, visibility_s: u32 },
    Release { handles: Vec<Handle> },
    Letters { letters: Vec<DeadLetter> },
    Count,
}

/// Its answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Received(Result<Vec<Message>, QueueError>),
    Processed,
    Stored(Vec<Result<(), AppendError>>),
    Pinged(Result<(), StoreError>),
    Items(Result<Vec<Result<(), ItemError>>, QueueError>),
    Counted(Result<Counts, QueueError>),
}

/// Kinds of calls that have a bound of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Receive,
    Process,
    Store,
    Delete,
    Extend,
    Release,
    Letters,
    Other,
}

impl Kind {
    pub(crate) const COUNT: usize = 8;
}

impl Request {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Receive { .. } => Kind::Receive,
            Self::Process { .. } => Kind::Process,
            Self::Store { .. } => Kind::Store,
            Self::Delete { .. } => Kind::Delete,
            Self::Extend { .. } => Kind::Extend,
            Self::Release { .. } => Kind::Release,
            Self::Letters { .. } => Kind::Letters,
            Self::Ping | Self::Count => Kind::Other,
        }
    }

    /// The handles it is about, of calls about messages that are held.
    pub(crate) fn handles(&self) -> &[Handle] {
        match self {
            Self::Delete { handles } | Self::Extend { handles, .. } | Self::Release { handles } => handles,
            _ => &[],
        }
    }

    /// One line of a story.
    pub(crate) fn tell(&self) -> String {
        match self {
            Self::Receive { wait } => format!("receive, wait {} s", wait.as_secs()),
            Self::Process { message } => format!("process {}", message.handle.message_id),
            Self::Store { entries } => {
                let ids: Vec<&str> = entries.iter().map(|entry| entry.identity.event_id.as_str()).collect();
                format!("store {}", ids.join(" "))
            }
            Self::Ping => "ping the store".to_owned(),
            Self::Delete { handles } => format!("delete {}", list(handles)),
            Self::Extend { handles, visibility_s } => format!("extend by {visibility_s} s {}", list(handles)),
            Self::Release { handles } => format!("give back {}", list(handles)),
            Self::Letters { letters } => {
                let ids: Vec<String> =
                    letters.iter().map(|letter| format!("{}({})", letter.message_id(), letter.code())).collect();
                format!("dead-letter {}", ids.join(" "))
            }
            Self::Count => "count".to_owned(),
        }
    }
}

impl Reply {
    /// One line of a story.
    pub(crate) fn tell(&self) -> String {
        match self {
            Self::Received(Ok(messages)) if messages.is_empty() => "received nothing".to_owned(),
            Self::Received(Ok(messages)) => {
                let handles: Vec<Handle> = messages.iter().map(|message| message.handle.clone()).collect();
                format!("received {}", list(&handles))
            }
            Self::Received(Err(error)) | Self::Items(Err(error)) | Self::Counted(Err(error)) => error.to_string(),
            Self::Processed => "processed".to_owned(),
            Self::Stored(results) => outcomes(results),
            Self::Pinged(Ok(())) => "the store is there".to_owned(),
            Self::Pinged(Err(error)) => error.to_string(),
            Self::Items(Ok(items)) => outcomes(items),
            Self::Counted(Ok(counts)) => format!("{counts:?}"),
        }
    }
}

/// Message and delivery, as `m7/2`.
fn list(handles: &[Handle]) -> String {
    let mut text = String::new();
    for handle in handles {
        let space = if text.is_empty() { "" } else { " " };
        write!(text, "{space}{}/{}", handle.message_id, nth_of(handle))
            .unwrap_or_else(|_| unreachable!("text takes text"));
    }
    text
}

fn outcomes<E: std::fmt::Display>(items: &[Result<(), E>]) -> String {
    let words: Vec<String> =
        items.iter().map(|item| item.as_ref().map_or_else(E::to_string, |()| "ok".into())).collect();
    words.join(", ")
}

/// Which message a handle is of.
pub(crate) fn message_of(handle: &Handle) -> MessageNo {
    number_of(&handle.message_id)
}

/// Which delivery of it.
pub(crate) fn nth_of(handle: &Handle) -> u32 {
    number_of(&handle.receipt)
}
