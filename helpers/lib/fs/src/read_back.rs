//! Reads a new file back from the disk, one stretch at a time while the rest is still being
//! written. At the end little is left to read.
//!
//! It uses O_DIRECT: the kernel writes the stretch's dirty pages to disk, waits for that, and reads
//! past the page cache (open(2)). Some file systems do not support O_DIRECT, and some, such as
//! those of FUSE, fail only at the read. Then the rest is read at the end, after fsync. An fsync
//! for each stretch would work too, but other writers to that file system, such as PostgreSQL,
//! would wait for each one.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_digest::{Digest, Hasher};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::files::{open_direct, open_plain};

/// Bytes that are read back per stretch.
const STRETCH: u64 = 16 << 20;

/// Bytes of one read.
const PIECE: usize = 256 << 10;

/// The alignment of buffers and offsets for O_DIRECT. Most disks need less.
const BLOCK: usize = 4096;

/// A file that is read back from its beginning.
struct BackReader {
    path: PathBuf,
    file: File,
    /// Whether reads bypass the page cache.
    is_direct: bool,
    hasher: Hasher,
    bytes: u64,
}

impl BackReader {
    fn open(path: &Path) -> Result<Self> {
        let (file, is_direct) = match open_direct(path) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => (open_plain(path), false),
            opened => (opened, true),
        };
        let file = file.or_fail_io(|| reading(path))?;
        Ok(Self { path: path.to_owned(), file, is_direct, hasher: Hasher::default(), bytes: 0 })
    }

    /// Reads on to byte `end` or the end of the file. Stops if the file system does not support
    /// O_DIRECT.
    fn read_to(&mut self, end: u64) -> Result<()> {
        let doing = || reading(&self.path);
        let mut buffer = vec![0; PIECE + BLOCK];
        let aligned = buffer.as_ptr().align_offset(BLOCK).min(BLOCK);
        let buffer = &mut buffer[aligned..aligned + PIECE];
        while self.bytes < end {
            let left = usize::try_from(end - self.bytes).unwrap_or(PIECE).min(PIECE);
            match self.file.read_at(&mut buffer[..left], self.bytes) {
                Ok(0) => break,
                Ok(read) => {
                    self.hasher.update(&buffer[..read]);
                    self.bytes += read as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The file system has no O_DIRECT, or the last read was not a whole block, usually
                // at the end of the file.
                Err(error) if error.kind() == ErrorKind::InvalidInput && self.is_direct => {
                    self.file = open_plain(&self.path).or_fail_io(doing)?;
                    self.is_direct = false;
                    break;
                }
                Err(error) => return Err(error).or_fail_io(doing),
            }
        }
        Ok(())
    }

    /// Reads on to the end of the file, after the file was synced.
    fn read_the_rest(&mut self) -> Result<()> {
        if self.is_direct {
            self.read_to(u64::MAX)?;
        }
        if !self.is_direct {
            // Drops the page cache, so that the read comes from the disk.
            posix_fadvise(self.file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
                .map_err(io::Error::from)
                .or_fail_io(|| reading(&self.path))?;
            self.read_to(u64::MAX)?;
        }
        Ok(())
    }
}

/// A file that is being written and read back.
#[derive(Debug, Default)]
pub(super) struct ReadBack {
    reader: Option<Reader>,
    told: u64,
}

#[derive(Debug)]
struct Reader {
    written: Sender<u64>,
    thread: JoinHandle<Result<BackReader>>,
}

impl ReadBack {
    /// Reports that the first `bytes` of `path` have been passed to the kernel.
    ///
    /// # Errors
    /// The error of an earlier read, with the path.
    pub(super) fn written(&mut self, path: &Path, bytes: u64) -> Result<()> {
        let end = bytes - bytes % STRETCH;
        if end == self.told {
            return Ok(());
        }
        self.told = end;
        if self.reader.is_none() {
            let back = BackReader::open(path)?;
            let (written, told) = channel();
            self.reader = Some(Reader { written, thread: thread::spawn(move || follow(back, &told)) });
        }
        let still_reads = self.reader.as_ref().is_none_or(|reader| reader.written.send(end).is_ok());
        if still_reads { Ok(()) } else { self.so_far(path).map(drop) }
    }

    /// Reads the rest of `path`, which is synced, and returns the digest and length of what was
    /// read.
    ///
    /// # Errors
    /// The I/O error, with the path.
    pub(super) fn finish(mut self, path: &Path) -> Result<(Digest, u64)> {
        let mut back = self.so_far(path)?;
        // Also reads bytes past the expected end.
        back.read_the_rest()?;
        Ok((back.hasher.finish(), back.bytes))
    }

    fn so_far(&mut self, path: &Path) -> Result<BackReader> {
        let Some(Reader { written, thread }) = self.reader.take() else { return BackReader::open(path) };
        drop(written);
        thread
            .join()
            .map_err(|_| Failure::new(Exit::Software, reading(path)).because("its thread panicked"))?
    }
}

fn follow(mut back: BackReader, written: &Receiver<u64>) -> Result<BackReader> {
    while let Ok(mut end) = written.recv() {
        // If the reader is behind the writer, it skips to the latest position.
        while let Ok(later) = written.try_recv() {
            end = later;
        }
        if back.is_direct {
            back.read_to(end)?;
        }
    }
    Ok(back)
}

fn reading(path: &Path) -> String {
    format!("reading {} back", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;

    fn bytes(length: u64) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn a_file_of_any_length_is_read_back_whole() {
        let directory = tempfile::tempdir().unwrap();
        for length in [0, 1, STRETCH - 1, STRETCH, 2 * STRETCH + 7] {
            let (path, all) = (directory.path().join(length.to_string()), bytes(length));
            let mut file = File::create_new(&path).unwrap();
            let (mut back, mut written) = (ReadBack::default(), 0);
            for piece in all.chunks(1 << 20) {
                file.write_all(piece).unwrap();
                written += piece.len() as u64;
                back.written(&path, written).unwrap();
            }
            assert_eq!(back.reader.is_some(), length >= STRETCH);
            assert_eq!(back.finish(&path).unwrap(), (Digest::of(&all), length), "{length} bytes");
        }
    }

    #[test]
    fn a_changed_byte_and_an_extra_byte_are_detected() {
        let directory = tempfile::tempdir().unwrap();
        let (path, all) = (directory.path().join("file"), bytes(STRETCH + 9));
        fs::write(&path, &all).unwrap();
        let mut back = ReadBack::default();
        OpenOptions::new().write(true).open(&path).unwrap().write_at(&[255], 77).unwrap();
        back.written(&path, STRETCH).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        let (digest, length) = back.finish(&path).unwrap();
        assert_eq!(length, STRETCH + 10);
        assert_ne!(digest, Digest::of(&[&all[..], b"x"].concat()));
    }

    #[test]
    fn an_error_of_the_reader_is_returned_while_writing_and_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let gone = directory.path().join("gone");
        let failure = ReadBack::default().written(&gone, STRETCH).unwrap_err();
        assert!(failure.to_string().contains("reading"), "{failure}");
        let failure = ReadBack::default().finish(&gone).unwrap_err();
        assert!(failure.to_string().contains("gone back"), "{failure}");
    }
}
