//! Sending dead letters back to the queue they came from.

use std::time::Duration;

use super::letter::{Letter, NoRoom};
use crate::message::Attribute;
use crate::proof::{Delete, Proof};
use crate::queue::{BATCH_MAX, ItemError, MESSAGE_BYTES_MAX, QueueError, QueueErrorKind};
use crate::sqs::SqsQueue;

/// Attempts to send a batch to a queue that throttles, or does not answer.
const ATTEMPTS: u32 = 4;
/// Between them, growing.
const PAUSE: Duration = Duration::from_millis(300);

/// Proof that a letter is in the queue it was sent back to. Only [`send_back`] makes one.
#[derive(Debug)]
#[must_use = "a proof that nobody keeps allows nothing"]
pub(crate) struct SentBack(());

/// A letter that is ready to be sent back.
#[derive(Debug)]
pub struct Resend<'a> {
    letter: &'a Letter,
    attributes: Vec<Attribute>,
}

impl<'a> Resend<'a> {
    /// The letter with its origin in place of what was said of its death.
    ///
    /// # Errors
    /// [`NoRoom`] for the origin.
    pub fn new(letter: &'a Letter) -> Result<Self, NoRoom> {
        Ok(Self { attributes: letter.resent_attributes()?, letter })
    }

    /// The letter.
    #[must_use]
    pub fn letter(&self) -> &'a Letter {
        self.letter
    }

    pub(crate) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The FIFO group it was in.
    pub(crate) fn group_id(&self) -> String {
        let origin = self.letter.origin().group_id;
        origin.or_else(|| self.letter.message.group_id.clone()).unwrap_or_else(|| "dead-letters".to_owned())
    }

    /// What a FIFO queue tells copies apart by. Not what it was the first time: within five minutes of that the queue
    /// would acknowledge the message and swallow it. Of the letter instead: sent twice, it is taken once.
    pub(crate) fn deduplication_id(&self) -> String {
        format!("redrive-{}", self.letter.message.handle.message_id)
    }

    fn len_bytes(&self) -> usize {
        self.letter.message.body.len() + self.attributes.iter().map(Attribute::len_bytes).sum::<usize>()
    }
}

/// Sends letters to `queue`: for each, in order, the order to delete it where it came from, or why it may not be deleted.
/// A letter whose sending was not acknowledged may have arrived all the same; sent again, its events are the same ones. So
/// a call that failed for a reason that passes is repeated, a few times.
///
/// # Errors
/// The queue could not be called at all, at the first batch; where a later batch fails as a whole, its letters do.
pub async fn send_back(queue: &SqsQueue, letters: &[Resend<'_>]) -> Result<Vec<Result<Delete, ItemError>>, QueueError> {
    let mut results = Vec::with_capacity(letters.len());
    let mut rest = letters;
    let mut failures = 0;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_len(rest));
        match queue.resend(batch).await {
            Ok(sent) => results.extend(batch.iter().zip(sent).map(|(resend, sent)| {
                sent.map(|()| {
                    let handle = resend.letter.message.handle.clone();
                    Delete::new(handle, Proof::sent_back(SentBack(())))
                })
            })),
            Err(error) if error.kind == QueueErrorKind::Unavailable && failures + 1 < ATTEMPTS => {
                failures += 1;
                tokio::time::sleep(PAUSE * failures).await;
                continue;
            }
            Err(error) if results.is_empty() => return Err(error),
            Err(error) => results.extend(batch.iter().map(|_| {
                let code = error.code.clone();
                Err(ItemError { code, is_final: false })
            })),
        }
        rest = later;
        failures = 0;
    }
    Ok(results)
}

/// How many letters fit in one batch: ten, and together no larger than one message may be.
fn batch_len(letters: &[Resend<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |resend: &&Resend<'_>| {
        bytes += resend.len_bytes();
        bytes <= MESSAGE_BYTES_MAX
    };
    letters.iter().take(BATCH_MAX).take_while(fits).count().max(1)
}
