//! Putting a file in its place by one rename: who reads it sees the old one or the new one, whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nexus_core::failure::{OrFailIo, Result};

/// Replaces `path` by `content`. Not brought to the disk before it returns: it is written again in a moment.
///
/// # Errors
/// I/O (74), CannotCreate (73) on a full disk, Permission (77). What was there before is there still.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let written = write(&partial, content).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // Nothing reads it by this name, and the next one replaces it.
        let _left = std::fs::remove_file(&partial);
    }
    written.or_fail_io(|| format!("writing {}", path.display()))
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    file.write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        replace(&path, b"old").unwrap();
        // A directory in the place of the temporary name.
        std::fs::create_dir(path.with_extension("partial")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
}
