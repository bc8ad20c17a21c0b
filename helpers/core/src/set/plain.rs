//! Opening what another may have put there: only plain files are read.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Opens a plain file to read. A pipe would be waited for without end, and what a link leads to is no part of a set.
///
/// # Errors
/// `InvalidData` for what is no plain file; else what open(2) says.
pub fn open(path: &Path) -> io::Result<File> {
    let no_plain_file = || io::Error::new(ErrorKind::InvalidData, "it is no plain file");
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        // A link; or a socket, which open(2) does not open.
        Err(error)
            if matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ELOOP | Errno::ENXIO)) =>
        {
            return Err(no_plain_file());
        }
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_plain_file()) }
}

/// Reads the whole of a plain file.
///
/// # Errors
/// As [`open`], and I/O.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_plain_file_is_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["link", "pipe", "socket", "", "/dev/null"] {
            assert_eq!(open(&at(name)).unwrap_err().kind(), ErrorKind::InvalidData, "{name}");
        }
        assert_eq!(open(&at("none")).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(read(&at("file")).unwrap(), b"text");
    }
}
