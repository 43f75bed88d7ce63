//! The calls that are on their way.

use afterimage_store::{AppendError, StoreError};

use super::Core;
use super::held::{State, Token};
use super::io::{Action, CallId, Time};
use crate::message::Handle;
use crate::queue::{QueueError, QueueErrorKind};

/// A call that is not answered yet.
#[derive(Debug)]
pub(super) enum Call {
    Receive { asked_at: Time },
    Process { token: Token },
    Store { parts: Vec<(Token, usize)>, sent_at: Time },
    Ping,
    Delete { parts: Vec<(Token, Handle)> },
    Extend { parts: Vec<(Token, Handle)>, asked_at: Time, until: Time },
    Release { parts: Vec<(Token, Handle)> },
    Letter { parts: Vec<(Token, Handle)> },
    Count,
}

impl Core {
    pub(super) fn next_call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    pub(super) fn begin(&mut self, call: Call) -> CallId {
        let id = self.next_call();
        self.calls.insert(id, call);
        id
    }

    /// A call without an answer is a call with the worst answer.
    pub(super) fn lost(&mut self, now: Time, id: CallId, actions: &mut Vec<Action>) {
        let error = || QueueError {
            kind: QueueErrorKind::Unavailable,
            code: "Lost".to_owned(),
            reason: "the call ended without an answer".to_owned(),
        };
        match self.calls.remove(&id) {
            Some(Call::Receive { asked_at }) => self.received(now, asked_at, now, Err(error()), actions),
            Some(Call::Process { token }) => {
                self.processing = false;
                if self.held.get(&token).is_some_and(|held| held.state == State::Calling(id)) {
                    self.retry_later(now, token);
                }
            }
            Some(Call::Store { parts, sent_at }) => {
                let entries = parts.iter().map(|(_, entries)| entries).sum();
                let unknown = || Err(AppendError::Unavailable { reason: error().reason });
                let results = std::iter::repeat_with(unknown).take(entries).collect();
                self.stored(now, id, sent_at, parts, results, actions);
            }
            Some(Call::Ping) => {
                let result = Err(StoreError::Unavailable { reason: error().reason });
                self.pinged(now, id, result, actions);
            }
            Some(Call::Delete { parts }) => self.deleted(now, parts, Err(error()), actions),
            Some(Call::Extend { parts, asked_at, until }) => {
                self.extended(now, parts, asked_at, until, Err(error()), actions);
            }
            Some(Call::Release { parts }) => self.released(now, id, parts, Err(error()), actions),
            Some(Call::Letter { parts }) => self.dead_lettered(now, parts, Err(error()), actions),
            Some(Call::Count) => self.counted(now, Err(error()), actions),
            None => {}
        }
    }
}
