//! Metrics and log lines. A thing that is both logged and counted is so in one method, and neither shows a payload.

mod labels;
mod repeats;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use afterimage_store::Entry;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::core::{Books, Core, Note};
use crate::message::Message;
use labels::{EVENT_OUTCOMES, MESSAGE_OUTCOMES, OTHER, OWN_LOSSES, RECEIVE_OUTCOMES, RETRIED};
use repeats::Repeats;

/// From milliseconds to the hour: what stands between a change and its being in the trail.
const LATENCY_S: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3600.0];
const DURATION_S: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const BATCH: [f64; 6] = [0.0, 1.0, 3.0, 5.0, 9.0, 10.0];
const RECEIVE_COUNT: [f64; 6] = [1.0, 2.0, 3.0, 5.0, 10.0, 100.0];
/// To the largest message that SQS takes.
const SIZE_BYTES: [f64; 6] = [1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];
const NAMES: [f64; 6] = [0.0, 1.0, 2.0, 5.0, 10.0, 50.0];

/// The consumer's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    received: IntCounter,
    messages: IntCounterVec,
    decoded: IntCounter,
    events: IntCounterVec,
    in_flight: IntGauge,
    pending: IntGauge,
    held_bytes: IntGauge,
    pollers: IntGauge,
    receives: IntCounterVec,
    receive_batch: Histogram,
    receive_count: Histogram,
    message_size: Histogram,
    delete_calls: IntCounter,
    extended: IntCounter,
    latency: Histogram,
    changed: Histogram,
    process_duration: Histogram,
    store_duration: Histogram,
    last_stored: IntGauge,
    dead_letters: IntCounterVec,
    left_to_redrive: IntCounterVec,
    lease_losses: IntCounterVec,
    retries: IntCounterVec,
    store_up: IntGauge,
    queue_up: IntGauge,
    /// What was said of retries lately.
    retries_said: Repeats,
}

impl Metrics {
    /// Registers the consumer's metrics.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        let metrics = Self {
            received: r.counter("afterimage_messages_received_total", "Deliveries of messages that were received")?,
            messages: r.counters(
                "afterimage_messages_total",
                "Messages that are no longer held, by what became of them",
                &["outcome"],
            )?,
            decoded: r.counter("afterimage_events_decoded_total", "Events seen in messages")?,
            events: r.counters("afterimage_events_total", "Events, by what became of them", &["outcome"])?,
            in_flight: r.gauge("afterimage_messages_in_flight", "Messages held now")?,
            pending: r.gauge("afterimage_events_pending", "Events whose entries are not known to be durable yet")?,
            held_bytes: r.gauge("afterimage_messages_in_flight_bytes", "Memory reckoned for the messages held now")?,
            pollers: r.gauge("afterimage_pollers", "Receives that are waiting")?,
            receives: r.counters(
                "afterimage_receive_requests_total",
                "Receives, by what they brought",
                &["outcome"],
            )?,
            receive_batch: r.histogram("afterimage_receive_batch_messages", "Messages in a receive", &BATCH)?,
            receive_count: r.histogram(
                "afterimage_message_receive_count",
                "How often a message had been received, this time included",
                &RECEIVE_COUNT,
            )?,
            message_size: r.histogram("afterimage_message_size_bytes", "Body of a received message", &SIZE_BYTES)?,
            delete_calls: r.counter("afterimage_delete_requests_total", "Batches of deletes sent")?,
            extended: r.counter("afterimage_visibility_extensions_total", "Leases extended")?,
            latency: r.histogram(
                "afterimage_event_latency_seconds",
                "From the queue accepting a message to its entries being durable",
                &LATENCY_S,
            )?,
            changed: r.histogram(
                "afterimage_entry_changed_names",
                "Top-level names that a stored change touched",
                &NAMES,
            )?,
            process_duration: r.histogram(
                "afterimage_process_duration_seconds",
                "Decoding and comparing the messages of one receive",
                &DURATION_S,
            )?,
            store_duration: r.histogram(
                "afterimage_store_append_duration_seconds",
                "Making one group of entries durable",
                &DURATION_S,
            )?,
            last_stored: r.gauge(
                "afterimage_last_message_stored_timestamp_seconds",
                "When an entry was last made durable, since 1970; 0 until then",
            )?,
            dead_letters: r.counters(
                "afterimage_dead_letters_total",
                "Messages sent to the dead letters",
                &["reason"],
            )?,
            left_to_redrive: r.counters(
                "afterimage_left_to_redrive_total",
                "Messages that cannot be stored and were left to the queue's redrive policy",
                &["reason"],
            )?,
            lease_losses: r.counters("afterimage_lease_losses_total", "Leases that ended too early", &["code"])?,
            retries: r.counters(
                "afterimage_queue_retries_total",
                "Items of batch calls that failed and were tried again",
                &["operation", "code"],
            )?,
            store_up: r.gauge("afterimage_store_up", "1 while the store answers")?,
            queue_up: r.gauge("afterimage_queue_up", "1 while the queue answers")?,
            retries_said: Repeats::default(),
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    /// Known series exist from the start, so that a rate over them misses nothing.
    fn show_zeros(&self) {
        for (family, labels) in [
            (&self.messages, &MESSAGE_OUTCOMES[..]),
            (&self.events, &EVENT_OUTCOMES),
            (&self.receives, &RECEIVE_OUTCOMES),
            (&self.lease_losses, &OWN_LOSSES),
        ] {
            labels.iter().for_each(|label| family.with_label_values(&[label]).inc_by(0));
        }
        for reason in labels::reasons() {
            self.dead_letters.with_label_values(&[reason]).inc_by(0);
            self.left_to_redrive.with_label_values(&[reason]).inc_by(0);
        }
        for operation in RETRIED {
            self.retries.with_label_values(&[operation, OTHER]).inc_by(0);
        }
    }

    /// Brings the counters from one state of the books to the next.
    pub(crate) fn turned(&self, core: &Core, before: &Books) {
        let now = core.books();
        self.received.inc_by(now.received - before.received);
        self.decoded.inc_by(now.decoded - before.decoded);
        self.delete_calls.inc_by(now.delete_calls - before.delete_calls);
        self.extended.inc_by(now.extended - before.extended);
        for (family, label, count) in [
            (&self.messages, "deleted", now.deleted - before.deleted),
            (&self.messages, "released", now.released - before.released),
            (&self.messages, "lease_lost", now.lease_lost - before.lease_lost),
            (&self.events, "stored", now.stored - before.stored),
            (&self.events, "unchanged", now.unchanged - before.unchanged),
            (&self.events, "expired", now.expired - before.expired),
            (&self.events, "rejected", now.rejected - before.rejected),
            (&self.events, "abandoned", now.abandoned - before.abandoned),
            (&self.receives, "messages", now.receives_full - before.receives_full),
            (&self.receives, "empty", now.receives_empty - before.receives_empty),
            (&self.receives, "error", now.receives_failed - before.receives_failed),
        ] {
            if count > 0 {
                family.with_label_values(&[label]).inc_by(count);
            }
        }
        self.in_flight.set(now.in_flight as i64);
        self.pending.set(now.pending as i64);
        self.held_bytes.set(core.held_bytes() as i64);
        self.pollers.set(core.pollers() as i64);
        let status = core.status();
        self.store_up.set(i64::from(matches!(status.store, Some(Ok(())))));
        self.queue_up.set(i64::from(matches!(status.queue, Some(Ok(())))));
    }

    pub(crate) fn received(&self, messages: &[Message]) {
        self.receive_batch.observe(messages.len() as f64);
        for message in messages {
            self.receive_count.observe(message.receive_count.into());
            self.message_size.observe(message.body.len() as f64);
        }
    }

    pub(crate) fn processed(&self, took: Duration) {
        self.process_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn appended(&self, took: Duration) {
        self.store_duration.observe(took.as_secs_f64());
    }

    /// An entry is durable, at a moment in microseconds since 1970.
    pub(crate) fn stored(&self, entry: &Entry, now_micros: i64) {
        let published_micros = entry.identity.published_at.as_micros();
        self.latency.observe((now_micros - published_micros).max(0) as f64 / 1e6);
        self.changed.observe(entry.changed.len() as f64);
        self.last_stored.set(now_micros / 1_000_000);
    }

    /// Logs and counts.
    pub(crate) fn note(&self, note: &Note) {
        match note {
            Note::StoreDown { reason } => {
                tracing::warn!(%reason, "the store does not answer: nothing more is received until it does");
            }
            Note::StoreUp { after } => tracing::info!(outage_s = after.as_secs_f64(), "the store answers"),
            Note::ReceiveFailed { error } => {
                tracing::warn!(code = %error.code, reason = %error.reason, "receiving from the queue failed");
            }
            Note::LeaseLost { message_id, code } => {
                self.lease_losses.with_label_values(&[labels::code(code)]).inc();
                tracing::warn!(%message_id, %code, "the lease of a message ended too early: it will be delivered again");
            }
            Note::HeldTooLong { message_id } => {
                self.lease_losses.with_label_values(&["HeldTooLong"]).inc();
                tracing::warn!(%message_id, "a message was held as long as may be and is given back");
            }
            Note::DeadLettered { message_id, code } => {
                self.dead_letters.with_label_values(&[labels::reason(code)]).inc();
                tracing::warn!(%message_id, reason = code, "a message cannot be stored: sent to the dead letters");
            }
            Note::LeftToRedrive { message_id, code, reason } => {
                self.left_to_redrive.with_label_values(&[labels::reason(code)]).inc();
                tracing::warn!(%message_id, code, %reason, "a message cannot be stored: left to the redrive policy");
            }
            Note::Retried { operation, code, items } => {
                let label = labels::code(code);
                self.retries.with_label_values(&[operation, label]).inc_by(*items as u64);
                // A call that is refused for good is repeated for every ten messages that are held.
                if let Some(items) = self.retries_said.add((operation, label), *items, Instant::now()) {
                    tracing::warn!(operation, %code, items, "part of a batch failed and is tried again");
                }
            }
            Note::Control { message_id, kind } => tracing::info!(%message_id, kind, "a message that holds no event"),
            Note::Stopping { held } => tracing::info!(held, "stopping: nothing more is received"),
        }
    }
}

/// Builds and registers.
struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }
}
