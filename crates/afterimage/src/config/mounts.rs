//! Which file system a path lies on.

use std::path::{Path, PathBuf};

/// File systems whose locks and shared memory do not reach other machines as SQLite needs them
/// (<https://sqlite.org/wal.html#overview>). Efs is NFS.
const NETWORK_KINDS: [&str; 9] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs"];

/// The kind of network file system that a file is on, or will be; `None` on a local one, or where it cannot be told.
pub(super) fn network_kind(path: &Path) -> Option<String> {
    let table = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let kind = kind(&table, &folder.canonicalize().ok()?)?;
    NETWORK_KINDS.contains(&kind).then(|| kind.to_owned())
}

/// The kind of the file system that is mounted nearest above a folder; of several at one place the last hides the others.
fn kind<'t>(table: &'t str, folder: &Path) -> Option<&'t str> {
    let mounts = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((PathBuf::from(fields.next()?.replace("\\040", " ")), fields.next()?))
    });
    let above = mounts.filter(|(place, _)| folder.starts_with(place));
    above.max_by_key(|(place, _)| place.components().count()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_above_a_folder_says_what_it_is_on() {
        let table = "/dev/sda / ext4 rw 0 0\nserver:/x /srv/my\\040data nfs4 rw 0 0\ntmpfs /srv/my\\040data/fast tmpfs rw 0 0\n";
        for (folder, expected) in
            [("/home", "ext4"), ("/srv", "ext4"), ("/srv/my data/a", "nfs4"), ("/srv/my data/fast/b", "tmpfs")]
        {
            assert_eq!(kind(table, Path::new(folder)), Some(expected), "{folder}");
        }
    }
}
