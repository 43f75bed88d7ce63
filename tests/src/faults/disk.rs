//! A disk that can be filled.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::guard::{Guard, Owed};

/// A file system of so many bytes; it goes when this drops.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    _owed: Owed,
}

/// A small disk, where this machine lets us have one: mounting needs rights that CI may not have.
pub async fn disk_of(bytes: u64) -> Option<Disk> {
    let guard = Guard::new();
    let folder = guard.folder().join("disk");
    std::fs::create_dir(&folder).unwrap();
    let size = format!("size={bytes}");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &size, "afterimage-faults"]).arg(&folder).stderr(Stdio::null());
    if !mount.status().await.is_ok_and(|status| status.success()) {
        return None;
    }
    let owed = guard.owe(&format!("umount -l {}", folder.display()));
    Some(Disk { folder, _owed: owed })
}

impl Disk {
    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes all room that is left.
    ///
    /// # Panics
    /// When the file cannot be made.
    pub fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.folder.join("filler")).unwrap();
        let block = [0; 4096];
        while file.write_all(&block).is_ok() {}
    }

    /// Is no room left?
    #[must_use]
    pub fn is_full(&self) -> bool {
        let probe = self.folder.join("probe");
        let is_full = std::fs::write(&probe, [0; 4096]).is_err();
        std::fs::remove_file(probe).ok();
        is_full
    }

    /// Gives it back.
    ///
    /// # Panics
    /// When the file cannot be removed.
    pub fn free(&self) {
        std::fs::remove_file(self.folder.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg("-l").arg(&self.folder).status().ok();
    }
}
