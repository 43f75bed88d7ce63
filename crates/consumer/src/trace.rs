//! Spans of what a worker does, by OpenTelemetry's conventions for messaging
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>). Off where nobody hands a worker a [`Tracing`].
//!
//! A message has one span, `process`, from its arrival until everything of it is durable, in the trace of whoever sent it. What
//! is done for many messages at once (receive, append, delete) has one span for all of them, with a link to each; and none
//! where no message of them is recorded. None of them says what is in a message.

mod creation;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use afterimage_store::{AppendError, Durable};
use afterimage_telemetry::{Span, Tracer};
use opentelemetry::trace::{Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};

use crate::message::Message;
use crate::process::Processed;
use crate::proof::Delete;
use crate::queue::{ItemError, QueueError};

/// The code of an entry that the store will never take, as the metrics have it.
const STORE_REFUSED: &str = "store_refused";

/// Makes the spans of a worker.
#[derive(Clone, Debug)]
pub struct Tracing {
    tracer: Tracer,
    queue: String,
    store: &'static str,
    server: Option<String>,
}

/// What a message carries of its trace: nothing, where nobody asked for traces.
#[derive(Debug, Default)]
pub struct Trace {
    /// The header of AWS X-Ray that came with it.
    pub header: Option<String>,
    span: Option<Arc<MessageSpan>>,
}

/// The span of one delivery of a message; it ends when nobody holds it any more.
#[derive(Debug)]
pub struct MessageSpan {
    context: SpanContext,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    span: Span,
    outcome: Option<&'static str>,
    entries: usize,
    stored: usize,
}

/// A message that is recorded, and which entries of a group are its.
#[derive(Clone, Debug)]
pub struct Traced {
    span: Arc<MessageSpan>,
    entries: Range<usize>,
}

impl Trace {
    /// One that brought this header of AWS X-Ray.
    #[must_use]
    pub fn with_header(header: Option<String>) -> Self {
        Self { header, span: None }
    }

    /// The span, to be linked to.
    pub(crate) fn context(&self) -> Option<SpanContext> {
        self.span.as_ref().map(|span| span.context.clone())
    }

    /// The message as the owner of these entries of a group.
    pub(crate) fn owning(&self, entries: Range<usize>) -> Option<Traced> {
        self.span.as_ref().map(|span| Traced { span: Arc::clone(span), entries })
    }

    /// The message was decoded and compared.
    pub(crate) fn decoded(&self, processed: &Processed) {
        if let Some(span) = &self.span {
            span.decoded(processed);
        }
    }
}

impl Tracing {
    /// Spans of the worker of this queue and this kind of store.
    #[must_use]
    pub fn new(tracer: Tracer, queue_url: &str, store: &'static str) -> Self {
        let (origin, name) = queue_url.trim_end_matches('/').rsplit_once('/').unwrap_or(("", queue_url));
        let host = origin.split_once("://").and_then(|(_, rest)| rest.split(['/', ':']).next());
        Self { tracer, queue: name.to_owned(), store, server: host.map(str::to_owned) }
    }

    /// Begins the spans of messages that were received; the call began `at`.
    pub(crate) fn received(&self, at: SystemTime, messages: &mut [Message]) {
        let now = SystemTime::now();
        let mut links = Vec::new();
        for message in &mut *messages {
            let creation = creation::context(message);
            let span = self.begin(message, creation.clone(), now);
            if span.is_recording() {
                let context = span.span_context().clone();
                links.push(Link::with_context(creation.unwrap_or_else(|| context.clone())));
                let progress = Mutex::new(Progress { span, outcome: None, entries: 0, stored: 0 });
                message.trace.span = Some(Arc::new(MessageSpan { context, progress }));
            }
        }
        if links.is_empty() {
            return;
        }
        let attributes = self.attributes("receive", "receive", [batch(messages.len())]);
        let receive = self.batch(format!("receive {}", self.queue), at, attributes, links, None);
        for span in messages.iter().filter_map(|message| message.trace.span.as_ref()) {
            span.progress().span.add_link(receive.clone(), Vec::new());
        }
    }

    fn begin(&self, message: &Message, creation: Option<SpanContext>, now: SystemTime) -> Span {
        let own = [
            KeyValue::new("messaging.message.id", message.handle.message_id.to_string()),
            KeyValue::new("messaging.message.body.size", message.body.len() as i64),
            KeyValue::new("afterimage.receive_count", i64::from(message.receive_count)),
        ];
        let builder = self
            .tracer
            .span_builder(format!("process {}", self.queue))
            .with_kind(SpanKind::Consumer)
            .with_start_time(now)
            .with_attributes(self.attributes("process", "process", own));
        match creation {
            // The convention asks for the link, and allows it to be the parent too: so there is one trace from the change
            // to its being stored.
            Some(creation) => {
                let parent = Context::new().with_remote_span_context(creation.clone());
                let builder = builder.with_links(vec![Link::with_context(creation)]);
                self.tracer.build_with_context(builder, &parent)
            }
            None => self.tracer.build_with_context(builder, &Context::new()),
        }
    }

    /// A group of entries was sent to the store, `at`, and this came of it.
    pub(crate) fn appended(&self, at: SystemTime, traced: &[Traced], results: &[Result<Durable, AppendError>]) {
        if traced.is_empty() {
            return;
        }
        let attributes = vec![
            KeyValue::new("db.system.name", self.store),
            KeyValue::new("db.operation.name", "append"),
            KeyValue::new("db.operation.batch.size", results.len() as i64),
        ];
        let links = traced.iter().map(|traced| Link::with_context(traced.span.context.clone())).collect();
        let error = results.iter().find_map(|result| match result {
            Ok(_) => None,
            Err(AppendError::Refused { .. }) => Some(STORE_REFUSED),
            Err(_) => Some("store_unavailable"),
        });
        let append = self.batch(format!("append {}", self.store), at, attributes, links, error);
        for Traced { span, entries } in traced {
            if let Some(results) = results.get(entries.clone()) {
                span.appended(&append, results);
            }
        }
    }

    /// Messages were deleted, in a call that began `at`, and this came of it.
    pub(crate) fn deleted(
        &self,
        at: SystemTime,
        deletes: &[Delete],
        result: &Result<Vec<Result<(), ItemError>>, QueueError>,
    ) {
        let links: Vec<Link> = deletes.iter().filter_map(Delete::trace).cloned().map(Link::with_context).collect();
        if links.is_empty() {
            return;
        }
        let error = match result {
            Ok(items) => items.iter().find_map(|item| item.as_ref().err()).map(|error| error.code.as_str()),
            Err(error) => Some(error.code.as_str()),
        };
        let attributes = self.attributes("delete", "settle", [batch(deletes.len())]);
        self.batch(format!("delete {}", self.queue), at, attributes, links, error);
    }

    fn attributes<const N: usize>(&self, name: &'static str, kind: &'static str, own: [KeyValue; N]) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(N + 5);
        attributes.extend([
            KeyValue::new("messaging.system", "aws_sqs"),
            KeyValue::new("messaging.destination.name", self.queue.clone()),
            KeyValue::new("messaging.operation.name", name),
            KeyValue::new("messaging.operation.type", kind),
        ]);
        attributes.extend(self.server.as_ref().map(|server| KeyValue::new("server.address", server.clone())));
        attributes.extend(own);
        attributes
    }

    /// A call for several messages, from then until now; it belongs to none of their traces and links to all.
    fn batch(
        &self,
        name: String,
        at: SystemTime,
        mut attributes: Vec<KeyValue>,
        links: Vec<Link>,
        error: Option<&str>,
    ) -> SpanContext {
        attributes.extend(error.map(|error| KeyValue::new("error.type", error.to_owned())));
        let builder = self
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Client)
            .with_start_time(at)
            .with_attributes(attributes)
            .with_links(links);
        let mut span = self.tracer.build_with_context(builder, &Context::new());
        if let Some(error) = error {
            span.set_status(Status::error(error.to_owned()));
        }
        span.end();
        span.span_context().clone()
    }
}

impl MessageSpan {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decoded(&self, processed: &Processed) {
        let mut progress = self.progress();
        progress.entries = processed.entries.len();
        progress.outcome = Some(match processed {
            Processed { control: Some(_), .. } => "control",
            Processed { entries, .. } if !entries.is_empty() => "stored",
            Processed { unchanged: 1.., .. } => "unchanged",
            _ => "expired",
        });
        progress.span.set_attribute(KeyValue::new("afterimage.events", processed.events() as i64));
        progress.span.add_event("decoded", Vec::new());
        if let Some(first) = processed.rejections.first() {
            progress.rejected(first.code);
        }
    }

    fn appended(&self, append: &SpanContext, results: &[Result<Durable, AppendError>]) {
        let mut progress = self.progress();
        progress.span.add_link(append.clone(), Vec::new());
        for result in results {
            match result {
                Ok(_) => progress.stored += 1,
                Err(AppendError::Refused { .. }) => progress.rejected(STORE_REFUSED),
                Err(_) => {}
            }
        }
        if progress.stored == progress.entries {
            progress.span.add_event("stored", Vec::new());
        }
    }
}

impl Progress {
    fn rejected(&mut self, code: &'static str) {
        self.outcome = Some("rejected");
        self.span.set_attribute(KeyValue::new("error.type", code));
        self.span.set_status(Status::error(code));
    }
}

impl Drop for MessageSpan {
    fn drop(&mut self) {
        let progress = self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        let outcome = match progress.outcome {
            Some("stored") if progress.stored < progress.entries => "unfinished",
            Some(outcome) => outcome,
            // Given back, or here already: whoever has it next, or had it, says more.
            None => "unfinished",
        };
        progress.span.set_attribute(KeyValue::new("afterimage.outcome", outcome));
        progress.span.end();
    }
}

fn batch(messages: usize) -> KeyValue {
    KeyValue::new("messaging.batch.message_count", messages as i64)
}
