//! One file's pipeline: a thread reads and hashes, a second compresses, encrypts and writes, so that both cores of a
//! small machine work at once. What lies between them is bounded: memory stays flat.

use std::io::Write;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use nexus_backup_set::encrypt::EncryptedWriter;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_digest::{Digest, Hasher};
use nexus_fs::new_file::Stored;

/// Bytes that travel as one.
const CHUNK: usize = 256 << 10;

/// Chunks that may lie between the two threads.
const BETWEEN: usize = 4;

/// The reading end: takes bytes in any portion, hashes them, and sends them on in chunks.
pub(crate) struct Intake {
    chunk: Vec<u8>,
    to_writer: SyncSender<Vec<u8>>,
    hasher: Hasher,
    bytes: u64,
}

/// What went through.
pub(crate) struct Passed {
    /// Of the plain bytes.
    pub(crate) sha256: Digest,
    /// Plain bytes.
    pub(crate) bytes: u64,
    /// The file as it is on the disk.
    pub(crate) stored: Stored,
}

impl Intake {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the writer has failed; its own failure is the one that [`run`] gives.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == CHUNK {
                self.send_chunk()?;
            }
        }
        Ok(())
    }

    fn send_chunk(&mut self) -> Result<()> {
        self.hasher.update(&self.chunk);
        let full = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.to_writer.send(full).map_err(|_| Failure::new(Exit::Io, "the writer has stopped"))
    }
}

/// Runs `read`, which feeds the intake, while what it feeds is written to `file`.
///
/// # Errors
/// The writer's failure if it failed (the reader then only noticed it), else the reader's.
pub(crate) fn run<T>(
    mut file: EncryptedWriter,
    path: &str,
    read: impl FnOnce(&mut Intake) -> Result<T>,
) -> Result<(T, Passed)> {
    let (to_writer, chunks) = sync_channel::<Vec<u8>>(BETWEEN);
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for chunk in chunks {
                file.write_all(&chunk).or_fail_io(|| format!("writing {path}"))?;
            }
            Ok(file)
        });
        let mut intake =
            Intake { chunk: Vec::with_capacity(CHUNK), to_writer, hasher: Hasher::default(), bytes: 0 };
        let read = read(&mut intake).and_then(|done| {
            if !intake.chunk.is_empty() {
                intake.send_chunk()?;
            }
            Ok(done)
        });
        let Intake { hasher, bytes, to_writer, .. } = intake;
        drop(to_writer);
        let written: Result<EncryptedWriter> = writer
            .join()
            .map_err(|_| Failure::new(Exit::Software, format!("the writer of {path} panicked")))?;
        // Order matters: a writer that failed is the cause of a reader's failure, never the other way round.
        let file = written?;
        let done = read?;
        let stored = file.finish()?;
        Ok((done, Passed { sha256: hasher.finish(), bytes, stored }))
    })
}
