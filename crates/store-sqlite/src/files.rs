//! Whether the files that are open are still those at their path.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// What a file is, whatever its name.
type Inode = (u64, u64);

/// The files of a connection, and what lay there when it was opened.
///
/// Whoever removes or replaces a file leaves it to those who have it open: SQLite writes on, commits, and all of that is
/// gone with the process. So nothing is durable before its files were looked at after the commit.
#[derive(Debug)]
pub(crate) struct Files {
    /// The database, its WAL, and the index of that.
    paths: [PathBuf; 3],
    opened: [Option<Inode>; 3],
}

/// What lies at the paths now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// What was opened.
    Same,
    /// The database without its WAL, or with another one.
    OtherWal,
    /// Another database.
    Other,
    /// Another database, with the WAL of the one before: whoever opens them together damages it.
    OtherWithOldWal,
    /// No database.
    Nothing,
}

impl Files {
    /// Of a connection that has read from its file: the first read makes the WAL.
    pub(crate) fn of(connection: &Connection, path: &Path) -> Self {
        // SQLite puts the WAL beside the file that a link points to.
        let beside = |end: &str| {
            let mut name = connection.path().map_or_else(|| path.as_os_str().to_owned(), Into::into);
            name.push(end);
            PathBuf::from(name)
        };
        let paths = [path.to_owned(), beside("-wal"), beside("-shm")];
        let opened = paths.each_ref().map(|path| inode(path));
        Self { paths, opened }
    }

    pub(crate) fn look(&self) -> Found {
        let now = self.paths.each_ref().map(|path| inode(path));
        match (now, self.opened) {
            (now, opened) if now == opened => Found::Same,
            ([None, ..], _) => Found::Nothing,
            ([database, ..], [opened, ..]) if database == opened => Found::OtherWal,
            ([_, wal @ Some(_), _], [_, opened, _]) if wal == opened => Found::OtherWithOldWal,
            _ => Found::Other,
        }
    }
}

/// A file that cannot be looked at is as good as none.
fn inode(path: &Path) -> Option<Inode> {
    let look = || -> io::Result<Inode> {
        let file = path.metadata()?;
        Ok((file.dev(), file.ino()))
    };
    look().ok()
}
