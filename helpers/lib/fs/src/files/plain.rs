//! Opens files that another user may have put there: regular files only.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Opens a regular file to read, with the rights of the process: for the files of a set. A pipe
/// would block for ever, and the target of a link does not belong to a set.
///
/// # Errors
/// `InvalidData` if it is not a regular file; else what open(2) says.
pub fn open_plain(path: &Path) -> io::Result<File> {
    open_plain_with(OpenOptions::new().read(true), path)
}

/// Like [`open_plain`], with other options. Replaces the `custom_flags` of `options`.
///
/// # Errors
/// Those of [`open_plain`].
pub(crate) fn open_plain_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    open_with_flags(options, OFlag::empty(), path)
}

/// Like [`open_plain`], but bypasses the page cache.
///
/// # Errors
/// Those of [`open_plain`]; `InvalidInput` if the file system does not support it.
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    open_with_flags(OpenOptions::new().read(true), OFlag::O_DIRECT, path)
}

fn open_with_flags(options: &mut OpenOptions, flags: OFlag, path: &Path) -> io::Result<File> {
    let not_regular = || io::Error::new(ErrorKind::InvalidData, "not a regular file");
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match options.custom_flags(flags.bits()).open(path) {
        // A link; for writing also a socket, a pipe without a reader, or a directory.
        Err(error)
            if matches!(
                error.raw_os_error().map(Errno::from_raw),
                Some(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR)
            ) =>
        {
            return Err(not_regular());
        }
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}
