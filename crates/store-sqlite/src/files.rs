//! Whether the files that are open are still those at their path.

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
    /// No database, or an emptied one.
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
        let opened = inodes(&paths);
        Self { paths, opened }
    }

    pub(crate) fn look(&self) -> Found {
        match (inodes(&self.paths), self.opened) {
            (now, opened) if now == opened => Found::Same,
            ([None, ..], _) => Found::Nothing,
            // It was empty when it was opened: looked at too early.
            (_, [None, ..]) => Found::Other,
            ([database, ..], [opened, ..]) if database == opened => Found::OtherWal,
            ([_, wal @ Some(_), _], [_, opened, _]) if wal == opened => Found::OtherWithOldWal,
            _ => Found::Other,
        }
    }
}

/// A file that cannot be looked at is as good as none, and so is a database without its first page. (A WAL begins empty.)
fn inodes([database, wal, index]: &[PathBuf; 3]) -> [Option<Inode>; 3] {
    [inode(database, 1), inode(wal, 0), inode(index, 0)]
}

fn inode(path: &Path, bytes_min: u64) -> Option<Inode> {
    let file = path.metadata().ok()?;
    (file.len() >= bytes_min).then(|| (file.dev(), file.ino()))
}
