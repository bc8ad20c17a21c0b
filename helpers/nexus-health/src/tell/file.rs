//! Putting a file in its place by one rename: who reads it sees the old one or the new one, whole.

use std::path::Path;

use nexus_cli::failure::{OrFailIo, Result};
use nexus_fs::files;

/// Replaces `path` by `content`. Not brought to the disk before it returns: it is written again in a moment.
///
/// # Errors
/// I/O (74), CannotCreate (73) on a full disk, Permission (77). What was there before is there still.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    files::replace(path, content, 0o644).or_fail_io(|| format!("writing {}", path.display()))
}
