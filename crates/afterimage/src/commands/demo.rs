//! `afterimage demo`: everything on this machine, in one process: a queue, a worker on it through the real SDK, a SQLite
//! file, and a small shop that changes.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use afterimage_consumer::Books;
use afterimage_embedded_queue::EmbeddedQueue;
use afterimage_event::{DEFAULT_NAME, Op, Timestamp};
use afterimage_publish::{ChangeEvent, Publisher};
use afterimage_store::{Listing, RecordQuery, Trail};
use anyhow::{Context, bail};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{Outcome, worker};
use crate::config::{self, DemoArgs, StoreConfig};
use crate::demo::narrator::{self, Asking};
use crate::demo::shop::{self, Change, SHOWN_ORDER, Shop};
use crate::signals::Stop;
use crate::{clock, output, stores};

/// How long the worker gets to take up what is still in the queue when the demo ends.
const DRAIN_MAX: Duration = Duration::from_secs(15);
/// How long the first entry may take before the demo says that something is wrong.
const FIRST_ENTRY_MAX: Duration = Duration::from_secs(30);

/// The demo's files.
struct Folder {
    shop: PathBuf,
    database: PathBuf,
    /// Held while a demo runs: two of them would give out the same ids.
    _lock: File,
}

impl Folder {
    fn open(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("the folder {} cannot be made", path.display()))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).with_context(|| format!("{} cannot be written", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("a demo runs in {} already; --path names another", path.display()),
            Err(TryLockError::Error(error)) => return Err(error).context("the folder cannot be locked"),
        }
        Ok(Self { shop: path.join("shop.json"), database: path.join("afterimage.db"), _lock: lock })
    }
}

/// Runs the demo until it is told to end, or has run for as long as was asked for.
pub(super) async fn run(args: &DemoArgs, stop: Stop) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let folder = Folder::open(&args.path)?;
    let shop = shop::load(&folder.shop)?;
    let queue = EmbeddedQueue::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let sqs = sqs_config(&queue);
    let client = Client::from_conf(sqs.clone().build());
    for name in ["changes", "changes-dead"] {
        client.create_queue().queue_name(name).send().await.context("the embedded queue does not answer")?;
    }
    let queue_url = queue.queue_url("changes");
    let store_config = StoreConfig::Sqlite { path: folder.database.clone() };
    let store = stores::open(&store_config, stores::Missing::Make)?;
    let config = config::demo_worker(&queue_url, &queue.queue_url("changes-dead"), store_config)?;
    // The worker outlives the shop: it is told to end when the queue is empty.
    let worker_stop = Stop { now: stop.now.clone(), ..Stop::default() };
    let mut worker = tokio::spawn(worker::work(config, sqs, store.clone(), worker_stop.clone()));

    let mut demo = Demo {
        shop,
        asking: Asking::new(&std::env::args().next().unwrap_or_default(), &folder.database),
        folder,
        publisher: Publisher::to_queue(client.clone(), &queue_url),
        trail: Trail::new(store.clone()),
        began,
        published: 0,
        awaits_first_entry: true,
        moment: None,
        has_shown_examples: false,
    };
    demo.introduce(args)?;
    let traded = tokio::select! {
        traded = demo.trade(args, &stop) => traded,
        // It ends before it is told to only when it cannot work.
        ended = &mut worker => return ended?.and(Err(anyhow::anyhow!("the worker ended early"))),
    };
    drain(&client, &queue_url, &stop).await;
    worker_stop.drain.cancel();
    let end = worker.await??;
    store.close().await;
    queue.shutdown().await;
    traded?;
    demo.conclude(args, &end.books)?;
    Ok(Outcome::Done)
}

/// How to reach the embedded queue, which takes any key.
fn sqs_config(queue: &EmbeddedQueue) -> Builder {
    aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(queue.endpoint())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("demo", "demo", None, None, "demo"))
}

/// The shop, while it trades.
struct Demo {
    shop: Shop,
    folder: Folder,
    publisher: Publisher,
    asking: Asking,
    trail: Trail,
    began: Instant,
    published: u64,
    awaits_first_entry: bool,
    /// When the shown order changed first in this run.
    moment: Option<Timestamp>,
    has_shown_examples: bool,
}

impl Demo {
    fn introduce(&self, args: &DemoArgs) -> std::io::Result<()> {
        let story = if self.shop.is_new() { "opens" } else { "goes on" };
        output::print(&format!(
            "A small shop {story}. Its services announce every change on a queue; a worker keeps what changed in\n{}.\n{}\n\n",
            self.folder.database.display(),
            if args.run_for.is_some() || args.events.is_some() { "It ends by itself." } else { "Ctrl-C ends it." },
        ))
    }

    /// Makes changes and publishes them, at the rate asked for, until it is time to end.
    async fn trade(&mut self, args: &DemoArgs, stop: &Stop) -> anyhow::Result<()> {
        let end = async {
            match args.run_for {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        let mut ticks = interval(Duration::from_secs(1) / args.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while args.events.is_none_or(|events| self.published < events) {
            tokio::select! {
                biased;
                () = stop.drain.cancelled() => break,
                () = &mut end => break,
                _ = ticks.tick() => self.go_on().await?,
            }
        }
        Ok(())
    }

    /// The shop's next step: makes its changes, tells them here, and publishes them.
    async fn go_on(&mut self) -> anyhow::Result<()> {
        let now = clock::now();
        let changes = self.shop.step(&now.to_string());
        output::print(&narrator::told(&changes, &now.to_string()))?;
        // Kept before it is published: what the trail does not see shows as a gap, an id used twice would be a lie.
        shop::save(&self.shop, &self.folder.shop)?;
        let events: Vec<ChangeEvent> = changes.iter().map(|change| event(change, now)).collect();
        let event_ids: Vec<String> = events.iter().map(|event| event.id().to_owned()).collect();
        self.published += events.len() as u64;
        self.publisher.publish_many(events).await?;

        if self.awaits_first_entry
            && let Some(kept) = changes.iter().position(|change| !change.is_idle)
        {
            self.awaits_first_entry = false;
            self.wait_for_entry(&changes[kept], &event_ids[kept]).await?;
            let after_s = self.began.elapsed().as_secs_f64();
            output::print(&format!("          its entry stands in the trail, {after_s:.1} s after the start\n"))?;
        }
        if narrator::is_bulk(&changes) {
            output::print(&self.asking.about(changes[0].table, &changes[0].record_id()))?;
        }
        if changes.iter().any(|change| change.table == "orders" && change.record_id() == SHOWN_ORDER.to_string()) {
            self.moment.get_or_insert(now);
        }
        if !self.has_shown_examples && self.shop.has_story() {
            self.has_shown_examples = true;
            let examples = self.asking.examples(&self.moment.unwrap_or(now).to_string());
            output::print(&format!("\nAsk the trail, in another terminal:\n{examples}\n"))?;
        }
        Ok(())
    }

    /// Waits until the trail shows the entry of a change.
    async fn wait_for_entry(&self, change: &Change, event_id: &str) -> anyhow::Result<()> {
        let record = RecordQuery {
            tenant: DEFAULT_NAME.to_owned(),
            source: Some(change.source.to_owned()),
            table: change.table.to_owned(),
            record_id: vec![change.record_id()],
        };
        let listing = Listing::default();
        let seen = async {
            loop {
                // Until the worker has made the tables, and stored the entry, there is none.
                if let Ok(page) = self.trail.history(&record, &listing).await
                    && page.items.iter().any(|entry| entry.id == event_id)
                {
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(FIRST_ENTRY_MAX, seen).await.context("the first entry did not appear in the trail")
    }

    fn conclude(&self, args: &DemoArgs, books: &Books) -> std::io::Result<()> {
        let again = self.asking.again(&args.path);
        output::print(&format!(
            "\n{} changes published: {} kept, {} changed nothing, {} refused.\nThe trail stays in {}; go on with it: {again}\n",
            self.published,
            books.stored,
            books.unchanged,
            books.rejected,
            self.folder.database.display(),
        ))
    }
}

fn event(change: &Change, at: Timestamp) -> ChangeEvent {
    let (table, id) = (change.table, change.record_id());
    let mut event = match change.op() {
        Op::Insert => ChangeEvent::insert(table, id),
        Op::Delete => ChangeEvent::delete(table, id),
        _ => ChangeEvent::update(table, id),
    };
    event = event.source(change.source).seq(change.sequence).by(&change.actor).context(&change.context);
    event = event.occurred_at(UNIX_EPOCH + Duration::from_micros(at.as_micros().unsigned_abs()));
    if let Some(transaction) = &change.transaction {
        event = event.transaction(transaction);
    }
    if let Some(before) = &change.before {
        event = event.before(before);
    }
    if let Some(after) = &change.after {
        event = event.after(after);
    }
    event
}

/// Waits until the worker has taken up everything, or for as long as may be.
async fn drain(client: &Client, queue_url: &str, stop: &Stop) {
    let names =
        [QueueAttributeName::ApproximateNumberOfMessages, QueueAttributeName::ApproximateNumberOfMessagesNotVisible];
    let empty = async {
        loop {
            let asked =
                client.get_queue_attributes().queue_url(queue_url).set_attribute_names(Some(names.to_vec())).send();
            let counts = asked.await.ok().and_then(|answer| answer.attributes).unwrap_or_default();
            if names.iter().all(|name| counts.get(name).is_some_and(|count| count == "0")) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        // What is not taken up by then is lost with the queue; the books say so.
        _ = timeout(DRAIN_MAX, empty) => {}
        () = stop.now.cancelled() => {}
    }
}
