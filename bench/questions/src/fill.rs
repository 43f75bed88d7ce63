//! Entries as a worker makes them, appended in batches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use afterimage_diff::{DigestKey, RuleBlock, Rules};
use afterimage_event::{Contents, Layers, Message, Settings, decode};
use afterimage_store::{Arrival, Entry, Kept, Lookup, keep};
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::history::{ACCOUNTS, Change, History, moment, table_name};

/// The tenant of everything.
pub(crate) const TENANT: &str = "bench";
/// From a change to the acceptance of its message.
const PUBLISHED_AFTER_MICROS: i64 = 80_000;

/// How entries are appended.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Entries of one append.
    pub(crate) batch: usize,
    /// Appends at the same time.
    pub(crate) appends: usize,
}

/// What a fill took.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Filled {
    pub(crate) entries: u64,
    pub(crate) content_bytes: u64,
    pub(crate) took: Duration,
}

/// A worker's way from a message to an entry.
struct Kitchen {
    settings: Settings,
    rules: Rules,
    layers: Layers,
}

impl Kitchen {
    fn new() -> anyhow::Result<Self> {
        let settings = Settings { tenant: TENANT.to_owned(), ..Settings::default() };
        // Images of one table, changes of the others.
        let blocks = vec![
            RuleBlock::new("changes", "*", "*").images("changes")?,
            RuleBlock::new("images", "*", &table_name(ACCOUNTS)).images("after")?,
        ];
        Ok(Self { settings, rules: Rules::new(blocks, DigestKey::published())?, layers: Layers::default() })
    }

    fn entry(&mut self, change: &Change) -> anyhow::Result<Arc<Entry>> {
        let sent_at = moment(change.number).saturating_add_micros(PUBLISHED_AFTER_MICROS);
        let (body, message_id) = (change.body(), change.event_id());
        let message = Message {
            body: &body,
            message_id: &message_id,
            sent_at,
            sequence_number: None,
            group_id: None,
            origin: None,
        };
        self.layers = Layers::default();
        let Contents::Events(mut events) = decode(&message, &self.settings, &mut self.layers)? else {
            bail!("a message without events")
        };
        let event =
            events.next().context("a message without an event")?.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        match keep(&event, &self.rules, sent_at, 0)? {
            Kept::Entry(entry) => Ok(Arc::from(entry)),
            Kept::Unchanged | Kept::Expired => bail!("change {} makes no entry", change.number),
        }
    }
}

/// Goes on with the history until the store has so many entries.
pub(crate) async fn fill(
    store: &Arc<dyn Lookup>,
    history: &mut History,
    entries: u64,
    pace: Pace,
) -> anyhow::Result<Filled> {
    let (mut kitchen, started, first) = (Kitchen::new()?, Instant::now(), history.len());
    let mut filled = Filled::default();
    let mut running: VecDeque<JoinHandle<anyhow::Result<()>>> = VecDeque::new();
    while history.len() < entries {
        let count = (entries - history.len()).min(pace.batch as u64);
        let batch = (0..count).map(|_| kitchen.entry(&history.next())).collect::<Result<Vec<_>, _>>()?;
        filled.content_bytes += batch.iter().map(|entry| entry.content.len() as u64).sum::<u64>();
        let at = batch.last().map_or_else(|| moment(0), |entry| entry.identity.published_at);
        let store = Arc::clone(store);
        running.push_back(tokio::spawn(async move {
            let arrival = Arrival { worker: "bench".to_owned(), at };
            for result in store.append(&batch, &arrival).await {
                result?;
            }
            Ok(())
        }));
        if running.len() >= pace.appends
            && let Some(oldest) = running.pop_front()
        {
            oldest.await??;
        }
        if (history.len() - first).is_multiple_of(100 * pace.batch as u64) {
            tell(history.len(), first, started);
        }
    }
    for last in running {
        last.await??;
    }
    tell(history.len(), first, started);
    Ok(Filled { entries: history.len() - first, took: started.elapsed(), ..filled })
}

#[allow(clippy::print_stderr, reason = "progress of a run of many minutes")]
fn tell(entries: u64, first: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{entries} entries, {:.0} a second", (entries - first) as f64 / seconds);
}
