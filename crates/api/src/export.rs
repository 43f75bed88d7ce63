//! Everything that fits, as a stream of lines.

use std::io;
use std::time::Duration;

use afterimage_store::{EntryView, Export, ExportFormat, LIMIT_MAX, Listing};
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::call::Call;
use crate::operation::{Answer, EXPORT, FILTER, Operation, PERIOD};
use crate::{Problem, ProblemKind};

pub(crate) static EXPORT_ALL: Operation = Operation {
    id: "export",
    path: "/v1/export",
    summary: "Everything that fits, as NDJSON or CSV",
    description: "The entries of `/v1/changes` in one stream, whatever its length. Only a stream with its end line is whole: \
                  NDJSON ends with `{\"end\":true,\"items\":n}`, CSV with a record that begins `#end,n`. Without a time: the \
                  last 24 hours.",
    params: &[EXPORT, FILTER, PERIOD],
    answer: Answer::Lines,
    problems: &[],
};

/// One page of lines, and is it the last?
type Chunk = (Bytes, bool);

pub(crate) async fn export(call: Call) -> Result<Response, Problem> {
    let format: ExportFormat = call.query.text("format").unwrap_or(ExportFormat::Ndjson.as_str()).parse().map_err(
        |error: afterimage_store::ParseExportFormatError| Problem::parameter("format", format!("format: {error}")),
    )?;
    let listing = Listing { limit: LIMIT_MAX, ..call.query.listing()? };
    let filter = call.query.filter()?;
    let (sender, receiver) = channel::<Chunk>(1);
    let (began, begun) = oneshot::channel();
    tokio::spawn(async move {
        let mut pages = call.trail.all_changes(filter, listing);
        // Problems of the question itself come as problems, not as a stream that breaks off.
        let first = match pages.next().await {
            Ok(page) => page.unwrap_or_default(),
            Err(error) => {
                began.send(Err(Problem::from(error))).ok();
                return;
            }
        };
        if began.send(Ok(())).is_err() {
            return;
        }
        let mut lines =
            Lines { export: Export::entries(format), sender, stall: call.stall_timeout, text: String::new() };
        lines.export.begin(&mut lines.text);
        let mut page = first;
        // Whoever stops reading, and a store that brings nothing more, must not keep others from exporting.
        while lines.send(&page).await {
            page = match timeout(call.stall_timeout, pages.next()).await {
                Ok(Ok(Some(page))) => page,
                Ok(Ok(None)) => return lines.end().await,
                Ok(Err(error)) => return tracing::warn!(%error, "an export broke off"),
                Err(_) => return tracing::warn!("an export broke off: the store brought nothing more in time"),
            };
        }
    });
    begun.await.map_err(|_| Problem::new(ProblemKind::Internal, "the export could not begin"))??;
    let lines = stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some((bytes, true)) => Some((Ok(bytes), None)),
            Some((bytes, false)) => Some((Ok(bytes), Some(receiver))),
            // Neither the end line nor the end of the HTTP message: nobody takes it for whole.
            None => Some((Err(io::Error::other("the export broke off")), None)),
        }
    });
    // Compression asks once more after the end.
    let mut response = Response::new(Body::from_stream(lines.fuse()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
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
    async fn send(&mut self, page: &[EntryView]) -> bool {
        for entry in page {
            if let Err(error) = self.export.push(entry, &mut self.text) {
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
