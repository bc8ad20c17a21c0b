//! Writing a new file: hashed as it is written, synced, and read back from the disk.

use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_digest::{Digest, Hasher};

use crate::files;
use crate::read_back::ReadBack;

/// A file as it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub bytes: u64,
    /// Of what is on the disk (for an encrypted file: of the ciphertext).
    pub sha256: Digest,
}

/// A new file that hashes what is written to it.
#[derive(Debug)]
pub struct NewFile {
    // age writes its header in pieces of some bytes, each by one call of write() that it takes for whole (age 0.12,
    // cookie-factory): a short one would break the file off, and an error would lose its kind. Chunks go past the buffer.
    file: BufWriter<File>,
    path: PathBuf,
    hasher: Hasher,
    bytes: u64,
    back: ReadBack,
}

impl NewFile {
    /// Makes `path`, which must not exist, for its owner only (0600). If root creates it, it belongs to the directory's
    /// owner, so
    /// that a backup made by hand with sudo can be rotated by the unit.
    ///
    /// # Errors
    /// The I/O error, with the path.
    pub fn create(path: &Path) -> Result<Self> {
        let doing = || format!("making {}", path.display());
        let file = files::create_new(path, 0o600).or_fail_io(doing)?;
        Ok(Self {
            file: BufWriter::new(file),
            path: path.to_owned(),
            hasher: Hasher::default(),
            bytes: 0,
            back: ReadBack::default(),
        })
    }

    /// Brings the file to the disk, reads it back from there and compares.
    ///
    /// # Errors
    /// The I/O error, or Io (74) when what comes back is not what was written.
    pub fn finish(self) -> Result<Stored> {
        let path = &self.path;
        let file = self.file.into_inner().map_err(IntoInnerError::into_error);
        file.and_then(|file| file.sync_all())
            .or_fail_io(|| format!("bringing {} to the disk", path.display()))?;
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

/// Brings a directory's entries to the disk.
///
/// # Errors
/// I/O.
pub fn sync_directory(path: &Path) -> Result<()> {
    files::sync_directory(path).or_fail_io(|| format!("bringing directory {} to the disk", path.display()))
}
