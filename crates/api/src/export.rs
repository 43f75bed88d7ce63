//! Everything that fits, as a stream of lines.

use std::io;
use std::time::Duration;

use afterimage_store::{EntryView, Filter, LIMIT_MAX, Listing, Page, Trail};
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::Problem;
use crate::call::Call;
use crate::operation::{Answer, EXPORT, FILTER, Operation, PERIOD};

pub(crate) static EXPORT_ALL: Operation = Operation {
    id: "export",
    path: "/v1/export",
    summary: "Everything that fits, as NDJSON or CSV",
    description: "The entries of `/v1/changes` in one stream, whatever its length. Only a stream with its end line is whole: \
                  NDJSON ends with `{\"end\":true,\"items\":n}`, CSV with a line `#end,n`. Without a time: the last 24 hours.",
    params: &[EXPORT, FILTER, PERIOD],
    answer: Answer::Lines,
    problems: &[],
};

/// One page of lines, and is it the last?
type Chunk = (Bytes, bool);

pub(crate) async fn export(call: Call) -> Result<Response, Problem> {
    let query = &call.query;
    let listing = Listing { limit: LIMIT_MAX, ..query.listing()? };
    let export = Export { trail: call.trail.clone(), filter: query.filter()?, listing, items: 0 };
    let stall_timeout = call.stall_timeout;
    // Problems of the question itself come as problems, not as a stream that breaks off.
    let first = export.page().await?;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Chunk>(1);
    let permit = call.into_permit();
    tokio::spawn(export.send(first, sender, stall_timeout, permit));
    let lines = stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some((bytes, true)) => Some((Ok(bytes), None)),
            Some((bytes, false)) => Some((Ok(bytes), Some(receiver))),
            // Neither the end line nor the end of the HTTP message: nobody takes it for whole.
            None => Some((Err(io::Error::other("the export broke off")), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The media type of lines of JSON.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// An export on its way.
struct Export {
    trail: Trail,
    filter: Filter,
    listing: Listing,
    items: u64,
}

impl Export {
    async fn page(&self) -> Result<Page<EntryView>, Problem> {
        Ok(self.trail.changes(&self.filter, &self.listing).await?)
    }

    /// Sends page after page, as fast as they are taken. Nobody who stops reading keeps others from exporting.
    async fn send(
        mut self,
        first: Page<EntryView>,
        sender: tokio::sync::mpsc::Sender<Chunk>,
        stall_timeout: Duration,
        _permit: OwnedSemaphorePermit,
    ) {
        let mut page = first;
        loop {
            let Some(bytes) = self.lines(&page) else { return };
            let is_last = page.next.is_none();
            match timeout(stall_timeout, sender.send((bytes, is_last))).await {
                Ok(Ok(())) => {}
                // The reader went away, or takes nothing.
                Ok(Err(_)) | Err(_) => return,
            }
            if is_last {
                return;
            }
            self.listing.cursor = page.next;
            page = match timeout(stall_timeout, self.page()).await {
                Ok(Ok(page)) => page,
                Ok(Err(problem)) => {
                    tracing::warn!(reason = problem.detail(), "an export broke off");
                    return;
                }
                Err(_) => {
                    tracing::warn!(reason = "the store brought nothing more in time", "an export broke off");
                    return;
                }
            };
        }
    }

    /// A page as lines; the end line behind the last.
    fn lines(&mut self, page: &Page<EntryView>) -> Option<Bytes> {
        let mut text = Vec::new();
        for entry in &page.items {
            if let Err(error) = serde_json::to_writer(&mut text, entry) {
                tracing::error!(%error, "an entry cannot be written as JSON");
                return None;
            }
            text.push(b'\n');
            self.items += 1;
        }
        if page.next.is_none() {
            text.extend_from_slice(format!("{{\"end\":true,\"items\":{}}}\n", self.items).as_bytes());
        }
        Some(text.into())
    }
}
