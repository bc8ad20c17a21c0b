//! Atomic replacement of a file: readers see the old content or the new one.

use std::path::Path;

use nexus_cli::failure::{OrFailIo, Result};
use nexus_fs::files;

/// Replaces the content of `path`. Does not sync it to disk, because the next round writes it again.
///
/// # Errors
/// I/O (74), CannotCreate (73) on a full disk, Permission (77). The old content stays.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    files::replace(path, content, 0o644).or_fail_io(|| format!("writing {}", path.display()))
}
