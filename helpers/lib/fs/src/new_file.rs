//! Writes a new file: hashes it, syncs it, and reads it back from the disk.

use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_digest::{Digest, Hasher};

use crate::files;
use crate::read_back::ReadBack;

/// The size and digest of a file on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The size in bytes.
    pub bytes: u64,
    /// The digest of the bytes on disk (of the ciphertext, if the file is encrypted).
    pub sha256: Digest,
}

/// A new file that is hashed while it is written.
#[derive(Debug)]
pub struct NewFile {
    // age writes its header in small pieces and does not handle a short write() (age 0.12,
    // cookie-factory): it would truncate the file, and an error would lose its kind. Large chunks
    // bypass this buffer.
    file: BufWriter<File>,
    path: PathBuf,
    hasher: Hasher,
    bytes: u64,
    back: ReadBack,
}

impl NewFile {
    /// Creates `path`, which must not exist, for its owner only (0600). If root creates it, it
    /// belongs to the directory's owner, so that the unit can rotate a backup made with sudo.
    ///
    /// # Errors
    /// The I/O error, with the path.
    pub fn create(path: &Path) -> Result<Self> {
        let doing = || format!("creating {}", path.display());
        let file = files::create_new(path, 0o600).or_fail_io(doing)?;
        Ok(Self {
            file: BufWriter::new(file),
            path: path.to_owned(),
            hasher: Hasher::default(),
            bytes: 0,
            back: ReadBack::default(),
        })
    }

    /// Syncs the file to disk, reads it back and compares.
    ///
    /// # Errors
    /// The I/O error, or Io (74) when the file differs from what was written.
    pub fn finish(self) -> Result<Stored> {
        let path = &self.path;
        let file = self.file.into_inner().map_err(IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).or_fail_io(|| format!("syncing {} to disk", path.display()))?;
        let written = Stored { bytes: self.bytes, sha256: self.hasher.finish() };
        let (sha256, bytes) = self.back.finish(path)?;
        if (Stored { bytes, sha256 }) == written {
            Ok(written)
        } else {
            Err(Failure::new(Exit::Io, format!("reading {} back", path.display()))
                .because("what came back is not what was written")
                .advise("The disk or the memory is failing: check them (smartctl, memtest)"))
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        let given = self.bytes - self.file.buffer().len() as u64;
        self.back.written(&self.path, given).map_err(io::Error::other)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes `bytes` to a new file, in place of one that a killed run has left there.
///
/// # Errors
/// I/O.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    files::remove_if_there(path).or_fail_io(doing)?;
    let mut file = NewFile::create(path)?;
    file.write_all(bytes).or_fail_io(doing)?;
    file.finish().map(drop)
}

/// Syncs a directory's entries to disk.
///
/// # Errors
/// I/O.
pub fn sync_directory(path: &Path) -> Result<()> {
    files::sync_directory(path).or_fail_io(|| format!("syncing directory {} to disk", path.display()))
}
