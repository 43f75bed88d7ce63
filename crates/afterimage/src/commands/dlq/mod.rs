//! `afterimage dlq`: dead letters, counted, shown, sent back, kept.

mod coverage;
mod export;
mod ls;
mod redrive;
mod show;

use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::dead_letters::{Letter, Look, look};
use afterimage_consumer::{SqsQueue, SqsSettings};
use afterimage_store::Lookup;
use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::aws::Aws;
use crate::config::{DlqAction, DlqConfig, show_duration};
use crate::letters::{Facts, Reader, Reading, Selection, in_trail};
use crate::progress::Progress;
use crate::render::Screen;
use crate::signals::Stop;
use crate::{output, stores};
pub(crate) use coverage::Coverage;
pub(crate) use ls::Listed;
pub(crate) use redrive::Report;
pub(crate) use show::Shown;

/// Memory for letters, raw and parsed: an answer of ten letters of 1 MiB passes, one after the other.
const BYTES_MAX: usize = 64 << 20;
/// Connections to a queue.
const CONNECTIONS_MAX: usize = 16;

/// What it takes to judge letters.
struct Desk {
    reader: Reader,
    store: Option<Arc<dyn Lookup>>,
    selection: Selection,
    screen: Screen,
    stop: CancellationToken,
}

/// Does what was asked, until it is done or told to end; then gives every letter back that it holds.
pub(super) async fn run(config: DlqConfig, screen: Screen, stop: Stop) -> anyhow::Result<Outcome> {
    let DlqConfig { dlq_url, selection, look_max, hold, events, rules, store, action } = config;
    let store = store.map(|store| stores::open(&store, stores::Missing::Refuse)).transpose()?;
    let desk = Desk { reader: Reader::new(events, rules), store, selection, screen, stop: stop.drain.clone() };
    if let Some(store) = &desk.store {
        store.ping().await.context("the trail")?;
    }
    let target = match &action {
        DlqAction::Redrive(redrive) => match &redrive.queue_url {
            Some(url) => Some(queue(url).await),
            None => None,
        },
        _ => None,
    };
    let dead = queue(&dlq_url).await;
    let work = async |look: &mut Look| {
        warn_of_receives(look);
        match action {
            DlqAction::Ls { by, limit, json } => ls::run(look, &desk, &by, limit, json).await,
            DlqAction::Show { message_id, raw, json } => show::run(look, &desk, &message_id, raw, json).await,
            DlqAction::Redrive(redrive) => redrive::run(look, &desk, &redrive, target.as_ref()).await,
            DlqAction::Export { stop_after } => export::run(look, &desk, stop_after).await,
        }
    };
    let looked = tokio::select! {
        looked = look(dead, hold, look_max, work) => looked.context("the queue of dead letters")?,
        () = stop.now.cancelled() => {
            anyhow::bail!("told twice to stop: letters that were looked at stay hidden for up to {}", show_duration(hold))
        }
    };
    if looked.still_hidden > 0 {
        let (letters, hold) = (looked.still_hidden, show_duration(hold));
        output::warn(format!("{letters} letters could not be given back: they stay hidden for up to {hold}"));
    }
    if let Some(store) = &desk.store {
        store.close().await;
    }
    looked.outcome
}

async fn queue(url: &str) -> SqsQueue {
    let settings = SqsSettings {
        queue_url: url.to_owned(),
        dlq_url: None,
        wait: Duration::from_secs(1),
        bytes_max: BYTES_MAX,
        connections_max: CONNECTIONS_MAX,
    };
    SqsQueue::new(Aws::of_queue(url).await.sqs(), settings)
}

/// Looking counts as receiving. Where a redrive policy counts, that has consequences.
fn warn_of_receives(look: &Look) {
    if let Some(receives_max) = look.facts().receives_max {
        output::warn(format!(
            "this queue has a redrive policy itself: every look is a receive, and after {receives_max} of them a letter \
             moves on to the next queue"
        ));
    }
}

impl Desk {
    /// The next letters, at most ten, each with what is known of it; none at the end.
    async fn next(&self, look: &mut Look, progress: &mut Progress) -> anyhow::Result<Vec<(Letter, Facts, Reading)>> {
        let letters = look.next(&self.stop).await.context("the queue of dead letters")?;
        coverage::tell(progress, look);
        let mut judged = Vec::with_capacity(letters.len());
        for letter in letters {
            let reading = self.reader.read(&letter);
            let trail = match &self.store {
                Some(store) => Some(in_trail(&reading.processed, &**store).await.context("the trail")?),
                None => None,
            };
            let facts = Facts::new(&letter, &reading, trail);
            judged.push((letter, facts, reading));
        }
        Ok(judged)
    }
}
