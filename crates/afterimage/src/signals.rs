//! How the process is told to end.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A file grew beyond `ulimit -f`. It would end the process without a word; caught, the write fails, and what wrote says why.
const SIGXFSZ: i32 = 25;

/// Two requests, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// The first SIGTERM or SIGINT: take nothing new, finish what is held.
    pub(crate) drain: CancellationToken,
    /// The second: end at once.
    pub(crate) now: CancellationToken,
}

impl Stop {
    /// Listens from here on; within a tokio runtime.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        // Once caught it stays so, whoever listens.
        let _caught = signal(SignalKind::from_raw(SIGXFSZ))?;
        let stop = Self::default();
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let told = stop.clone();
        tokio::spawn(async move {
            for request in [&told.drain, &told.now] {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
                request.cancel();
            }
        });
        Ok(stop)
    }
}
