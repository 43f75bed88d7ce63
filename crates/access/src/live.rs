//! The access file as it stands now: read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use crate::{AccessFile, FILE_BYTES_MAX, FileError};

/// How often the file is looked at: so long at most a token that was taken out is still good. The file is read, not its
/// time of change: what orchestrators mount is exchanged by a link, and keeps its times.
pub const RELOAD_EVERY: Duration = Duration::from_secs(2);

/// An access file that is read again when it changes. A version that cannot be used is refused with one line in the log,
/// and the last good one stays: a typing error locks nobody out, and lets nobody in.
#[derive(Debug)]
pub struct LiveFile {
    path: PathBuf,
    good: RwLock<Arc<AccessFile>>,
}

/// What the last look at the file found, so that nothing is told twice.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Text(blake3::Hash),
    Unreadable(std::io::ErrorKind),
}

impl LiveFile {
    /// Reads the file, and looks at it every [`RELOAD_EVERY`] for as long as this is in use. Within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot be read or used: a server does not start without its first good version.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Arc<Self>, OpenError> {
        let path = path.into();
        let text = read(&path).await?;
        let file = AccessFile::parse(&text).map_err(|error| OpenError::File { path: path.clone(), error })?;
        let live = Arc::new(Self { path, good: RwLock::new(Arc::new(file)) });
        tokio::spawn(watch(Arc::downgrade(&live), Seen::Text(blake3::hash(text.as_bytes()))));
        Ok(live)
    }

    /// The last good version.
    #[must_use]
    pub fn now(&self) -> Arc<AccessFile> {
        // An `Arc` is exchanged at once: a thread that panicked with the lock has spoilt nothing.
        Arc::clone(&self.good.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the file once. What is new and good holds from now on.
    async fn look(&self, last: &Seen) -> Seen {
        let path = self.path.display();
        let text = match read(&self.path).await {
            Ok(text) => text,
            Err(OpenError::Read { error, .. }) => {
                let seen = Seen::Unreadable(error.kind());
                if seen != *last {
                    tracing::error!(%path, %error, "the access file cannot be read; the last good one holds");
                }
                return seen;
            }
            Err(OpenError::File { error, .. }) => {
                let seen = Seen::Unreadable(std::io::ErrorKind::FileTooLarge);
                if seen != *last {
                    tracing::error!(%path, %error, "the access file cannot be used; the last good one holds");
                }
                return seen;
            }
        };
        let seen = Seen::Text(blake3::hash(text.as_bytes()));
        if seen == *last {
            return seen;
        }
        match AccessFile::parse(&text) {
            Ok(file) => {
                tracing::info!(%path, tokens = file.tokens(), groups = file.groups(), "the access file was read again");
                *self.good.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(file);
            }
            Err(error) => tracing::error!(%path, %error, "the access file cannot be used; the last good one holds"),
        }
        seen
    }
}

async fn watch(live: Weak<LiveFile>, mut seen: Seen) {
    let mut ticks = tokio::time::interval(RELOAD_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(live) = live.upgrade() else { return };
        seen = live.look(&seen).await;
    }
}

/// The access file cannot be read or used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error("{}: cannot be read: {error}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It cannot be used.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong in it.
        error: FileError,
    },
}

/// Reads a file of at most [`FILE_BYTES_MAX`], however it grows meanwhile.
async fn read(path: &Path) -> Result<String, OpenError> {
    let fail = |error| OpenError::Read { path: path.to_owned(), error };
    let file = tokio::fs::File::open(path).await.map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await.map_err(fail)?;
    if bytes.len() > FILE_BYTES_MAX {
        let error = FileError::TooMany { limit: FILE_BYTES_MAX, of: "bytes" };
        return Err(OpenError::File { path: path.to_owned(), error });
    }
    String::from_utf8(bytes).map_err(|_| fail(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is no UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(names: &[&str]) -> String {
        let line = |name: &&str| {
            let hash = crate::Token::generate().unwrap().hash();
            format!("[[token]]\nname = {name:?}\nhash = \"{hash}\"\nrole = \"auditor\"\n")
        };
        names.iter().map(line).collect()
    }

    #[tokio::test]
    async fn a_change_holds_and_a_broken_one_leaves_the_last_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        std::fs::write(&path, text(&["a"])).unwrap();
        let live = LiveFile::open(&path).await.unwrap();
        let first = live.look(&Seen::Unreadable(std::io::ErrorKind::Other)).await;
        assert_eq!(live.now().tokens(), 1);
        std::fs::write(&path, text(&["a", "b"])).unwrap();
        let second = live.look(&first).await;
        assert_eq!(live.now().tokens(), 2);
        std::fs::write(&path, "[[token]]\nname = 1").unwrap();
        let broken = live.look(&second).await;
        assert_eq!(live.now().tokens(), 2);
        assert_eq!(live.look(&broken).await, broken, "nothing new is told");
        std::fs::write(&path, vec![b'#'; FILE_BYTES_MAX + 1]).unwrap();
        let large = live.look(&broken).await;
        std::fs::remove_file(&path).unwrap();
        let gone = live.look(&large).await;
        assert_eq!((live.now().tokens(), gone), (2, Seen::Unreadable(std::io::ErrorKind::NotFound)));
        // An empty file lets nobody in.
        std::fs::write(&path, "").unwrap();
        live.look(&large).await;
        assert_eq!(live.now().tokens(), 0);
    }

    #[tokio::test]
    async fn a_first_version_that_cannot_be_used_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        assert!(matches!(LiveFile::open(&path).await, Err(OpenError::Read { .. })));
        std::fs::write(&path, "[[token]]").unwrap();
        assert!(matches!(LiveFile::open(&path).await, Err(OpenError::File { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn the_file_is_looked_at_without_being_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        std::fs::write(&path, text(&["a"])).unwrap();
        let live = LiveFile::open(&path).await.unwrap();
        std::fs::write(&path, text(&["a", "b", "c"])).unwrap();
        while live.now().tokens() != 3 {
            tokio::time::sleep(RELOAD_EVERY).await;
        }
    }
}
