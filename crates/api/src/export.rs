//! Lists: a page of one, or all of it as lines.

use std::future::Future;
use std::io;
use std::time::Duration;

use afterimage_store::{Columns, Export, ExportFormat, Listing, Page, Trail, TrailError};
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::call::{Call, json};
use crate::query::Query;
use crate::{Problem, ProblemKind};

/// One page of lines, and is it the last?
type Chunk = (Bytes, bool);

/// A list as `ask` has it: the page asked for, or all pages as lines.
pub(crate) async fn list<T, A, F>(call: Call, columns: fn() -> Columns, ask: A) -> Result<Response, Problem>
where
    T: Serialize + Send + Sync + 'static,
    A: Fn(Trail, Listing) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Page<T>, TrailError>> + Send + 'static,
{
    match call.query.format() {
        None => json(&ask(call.trail.clone(), call.query.listing()?).await?),
        Some(format) => {
            let listing = call.query.whole_listing()?;
            stream(call, Export::new(format, columns()), listing, ask).await
        }
    }
}

/// A list that is one answer: as it is, or as lines.
pub(crate) fn whole<T: Serialize>(
    query: &Query,
    columns: Columns,
    answer: &impl Serialize,
    items: &[T],
) -> Result<Response, Problem> {
    let Some(format) = query.format() else { return json(answer) };
    let (mut export, mut text) = (Export::new(format, columns), String::new());
    export.begin(&mut text);
    for item in items {
        export.push(item, &mut text).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written as lines");
            Problem::new(ProblemKind::Internal, "the answer cannot be written as lines")
        })?;
    }
    export.end(&mut text);
    Ok(lines(format, Body::from(text)))
}

fn lines(format: ExportFormat, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// All pages from the first, as they come.
async fn stream<T, A, F>(call: Call, export: Export, mut listing: Listing, ask: A) -> Result<Response, Problem>
where
    T: Serialize + Send + Sync + 'static,
    A: Fn(Trail, Listing) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Page<T>, TrailError>> + Send + 'static,
{
    let format = export.format();
    let (sender, receiver) = channel::<Chunk>(1);
    let (began, begun) = oneshot::channel();
    tokio::spawn(async move {
        // Problems of the question itself come as problems, not as a stream that breaks off.
        let mut page = match ask(call.trail.clone(), listing.clone()).await {
            Ok(page) => page,
            Err(error) => {
                began.send(Err(Problem::from(error))).ok();
                return;
            }
        };
        if began.send(Ok(())).is_err() {
            return;
        }
        let mut lines = Lines { export, sender, stall: call.stall_timeout, text: String::new() };
        lines.export.begin(&mut lines.text);
        // Whoever stops reading, and a store that brings nothing more, must not keep others from exporting.
        while lines.send(&page.items).await {
            listing.cursor = page.next.take();
            if listing.cursor.is_none() {
                return lines.end().await;
            }
            page = match timeout(call.stall_timeout, ask(call.trail.clone(), listing.clone())).await {
                Ok(Ok(page)) => page,
                Ok(Err(error)) => return tracing::warn!(%error, "an export broke off"),
                Err(_) => return tracing::warn!("an export broke off: the store brought nothing more in time"),
            };
        }
    });
    begun.await.map_err(|_| Problem::new(ProblemKind::Internal, "the export could not begin"))??;
    let pieces = futures_util::stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some((bytes, true)) => Some((Ok(bytes), None)),
            Some((bytes, false)) => Some((Ok(bytes), Some(receiver))),
            // Neither the end line nor the end of the HTTP message: nobody takes it for whole.
            None => Some((Err(io::Error::other("the export broke off")), None)),
        }
    });
    // Compression asks once more after the end.
    Ok(lines(format, Body::from_stream(pieces.fuse())))
}

/// Lines on their way to the reader, a page at a time.
struct Lines {
    export: Export,
    sender: Sender<Chunk>,
    stall: Duration,
    text: String,
}

impl Lines {
    /// Sends a page; is the reader still there?
    async fn send(&mut self, page: &[impl Serialize]) -> bool {
        for item in page {
            if let Err(error) = self.export.push(item, &mut self.text) {
                tracing::error!(%error, "an export broke off");
                return false;
            }
        }
        // A page may be empty and yet not the last.
        if self.text.is_empty() {
            return true;
        }
        let bytes = std::mem::take(&mut self.text).into();
        matches!(timeout(self.stall, self.sender.send((bytes, false))).await, Ok(Ok(())))
    }

    /// Sends the end line.
    async fn end(self) {
        let Self { export, sender, stall, mut text } = self;
        export.end(&mut text);
        // A reader that is gone needs no end.
        timeout(stall, sender.send((text.into(), true))).await.ok();
    }
}
