//! The pipeline of a file: one thread reads and hashes, another compresses, encrypts and writes, so that both cores of a
//! small machine work. The queue between them is bounded, and so is the memory.

use std::io::{Read, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use nexus_backup_set::encrypt::EncryptedWriter;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_cli::progress::Progress;
use nexus_cli::pump::pump;
use nexus_digest::{Digest, Hasher};
use nexus_fs::new_file::Stored;

use crate::staging::Staging;

/// Size of a chunk, in bytes.
const CHUNK: usize = 256 << 10;

/// Chunks in the queue between the two threads, at most.
const QUEUE: usize = 4;

/// The pipeline's input: takes bytes in pieces of any size, hashes them, and passes them on in chunks.
pub(crate) struct Intake {
    chunk: Vec<u8>,
    to_writer: SyncSender<Vec<u8>>,
    hasher: Hasher,
    bytes: u64,
}

/// The result of a pipeline.
pub(crate) struct Streamed {
    /// Digest of the plain bytes.
    pub(crate) sha256: Digest,
    /// Number of plain bytes.
    pub(crate) bytes: u64,
    /// The file on disk.
    pub(crate) stored: Stored,
}

impl Intake {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// If the writer has failed. [`run`] returns the writer's own failure.
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

/// Writes `input` to `file` of the set, and passes each piece to `inspect`. Returns `None` if the
/// input does not begin with `magic`.
///
/// # Errors
/// The writer's failure if it failed, else the reader's, while `doing`.
pub(crate) fn store(
    input: &mut impl Read,
    magic: &[u8],
    file: &str,
    doing: &str,
    staging: &Staging,
    progress: &Progress,
    mut inspect: impl FnMut(&[u8]),
) -> Result<Option<Streamed>> {
    let mut head = Vec::new();
    let ((), streamed) = run(staging.create_encrypted(file)?, file, |intake| {
        let pumped = pump(input, CHUNK, |piece| {
            let missing = magic.len().saturating_sub(head.len()).min(piece.len());
            head.extend_from_slice(&piece[..missing]);
            progress.advance(piece.len() as u64);
            inspect(piece);
            Ok(intake.take(piece)?)
        });
        pumped.or_fail_io(|| doing)
    })?;
    Ok((head == magic).then_some(streamed))
}

/// Runs `read`, which feeds the intake, and writes those bytes to `file` in another thread.
///
/// # Errors
/// The writer's failure if it failed, else the reader's.
pub(crate) fn run<T>(
    mut file: EncryptedWriter,
    path: &str,
    read: impl FnOnce(&mut Intake) -> Result<T>,
) -> Result<(T, Streamed)> {
    let (to_writer, chunks) = sync_channel::<Vec<u8>>(QUEUE);
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
        // The writer first: its failure makes the reader fail, never the other way round.
        let file = written?;
        let done = read?;
        let stored = file.finish()?;
        Ok((done, Streamed { sha256: hasher.finish(), bytes, stored }))
    })
}
