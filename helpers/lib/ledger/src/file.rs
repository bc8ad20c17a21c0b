//! The ledger on disk: read without a lock, and appended to under one. A line counts only once it
//! is synced to disk.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_fs::files;
use nexus_fs::lock::Lock;
use nexus_fs::new_file::{self, sync_directory};

use super::chain::{Head, Ledger, Line};
use super::draft::Draft;
use super::entry::{Entry, What};
use super::handover;
use super::key::Keys;

/// How long to wait for the lock: another process that forgets one episode holds it for a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the ledger at `path`. A ledger that was never written is empty.
///
/// # Errors
/// Data (65) with the number of the damaged line, or when lines are missing at the end.
pub fn read(path: &Path, keys: &Keys) -> Result<Ledger> {
    let doing = || format!("reading the purge ledger {}", path.display());
    let damaged = |why: String| {
        Failure::new(Exit::Data, doing()).because(why).advise(
            "The ledger was altered. Put back the copy of a backup set (ledger.jsonl.age), or move it and its \
             .head away to begin a new one; a restore can then bring back what this one lists",
        )
    };
    let ledger = match files::open(path).if_there(doing)? {
        None => Ledger::default(),
        Some(file) => {
            Ledger::parse(BufReader::new(file), keys).map_err(|broken| damaged(broken.to_string()))?
        }
    };
    // The head is written after its line, so a run that was killed in between leaves it one line
    // behind.
    let heads = read_heads(path)?;
    match heads.first() {
        Some(head) if !heads.iter().any(|head| ledger.went_through(*head)) => {
            Err(damaged(if ledger.lines().len() as u64 >= head.lines {
                match head.lines {
                    1 => "its first line was altered".to_owned(),
                    lines => format!("its first {lines} lines were altered"),
                }
            } else {
                format!("lines are missing at its end: it had {}", head.lines)
            }))
        }
        None if ledger.lines().len() > 1 => Err(damaged(format!("{} is missing", head_path(path).display()))),
        _ => Ok(ledger),
    }
}

/// Passes each line of the ledger at `path` to `take`, with its line feed, which the last line may
/// lack. A ledger that was never written has no lines.
///
/// # Errors
/// I/O; those of `take`.
pub fn each_line(path: &Path, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let doing = || format!("reading the purge ledger {}", path.display());
    let Some(file) = files::open(path).if_there(doing)? else { return Ok(()) };
    let (mut input, mut line) = (BufReader::new(file), Vec::new());
    while input.read_until(b'\n', &mut line).or_fail_io(doing)? > 0 {
        take(&line)?;
        line.clear();
    }
    Ok(())
}

/// Takes the lock of the one run that carries out the ledger at `path`, for `job`. Waits at most
/// `patience`. It is not the ledger's own lock: while a run deletes and cleans up for minutes,
/// another process can forget one episode at once. To take both locks, take this one first.
///
/// # Errors
/// TryLater (75) with the name of the holder.
pub fn carry_out_alone(path: &Path, job: &str, patience: Duration) -> Result<Lock> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    Lock::take_file_within(&directory.join(".purging.lock"), job, patience)
}

/// The ledger, locked for appending.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    keys: Keys,
    ledger: Ledger,
    lock: Lock,
}

impl LedgerFile {
    /// Locks and reads the ledger at `path`, and removes an incomplete line that a killed run has
    /// left.
    ///
    /// # Errors
    /// Those of [`read`]; TryLater (75) when another process holds the lock for five seconds, or a
    /// handover is pending.
    pub fn open(path: &Path, keys: Keys, job: &str) -> Result<Self> {
        Self::open_within(path, keys, job, PATIENCE)
    }

    /// Like [`Self::open`], but waits for the lock at most `patience`.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_within(path: &Path, keys: Keys, job: &str, patience: Duration) -> Result<Self> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        let lock = Lock::take_within(directory, job, patience)?;
        handover::refuse_pending(path)?;
        Self::of_holder(path, keys, lock)
    }

    /// Like [`Self::open`], for a caller that holds the ledger's `lock`. A handover may be pending.
    ///
    /// # Errors
    /// Those of [`read`].
    pub(crate) fn of_holder(path: &Path, keys: Keys, lock: Lock) -> Result<Self> {
        let ledger = read(path, &keys)?;
        if ledger.is_torn() {
            let doing = || format!("removing the incomplete last line of {}", path.display());
            let file = files::append(path, 0o600).or_fail_io(doing)?;
            file.set_len(ledger.bytes()).and_then(|()| file.sync_all()).or_fail_io(doing)?;
            log::warn!(
                "removed the incomplete last line of {}: a run was killed while it wrote it",
                path.display()
            );
        }
        Ok(Self { path: path.to_owned(), keys, ledger, lock })
    }

    /// Keeps the lock and drops the rest.
    pub(super) fn into_lock(self) -> Lock {
        self.lock
    }

    /// Returns the parsed ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Appends a line and syncs it to disk.
    ///
    /// # Errors
    /// I/O; the caller must then not do what the line says.
    pub fn append(&mut self, by: &str, what: What) -> Result<Line> {
        let doing = || format!("writing the purge ledger {}", self.path.display());
        let entry = Entry { at: Timestamp::now(), by: by.to_owned(), what };
        let (text, line) = self.ledger.next(entry, &self.keys).or_fail_io(doing)?;
        let is_new = !self.path.exists();
        let mut file = files::append(&self.path, 0o600).or_fail_io(doing)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Best effort: the next run also removes an incomplete line.
            let _cut = file.set_len(self.ledger.bytes());
            return Err(error).or_fail_io(doing);
        }
        if is_new {
            sync_directory(self.directory())?;
        }
        self.ledger.push(&text, line.clone());
        self.write_heads(&[self.ledger.head()])?;
        Ok(line)
    }

    /// Replaces the ledger atomically by `text`, which parses as `ledger`.
    ///
    /// # Errors
    /// I/O; the old ledger stays.
    pub fn replace(&mut self, text: &[u8], ledger: Ledger, keys: Keys) -> Result<()> {
        let new = self.path.with_extension("new");
        new_file::write(&new, text)?;
        // Both heads, until it is certain which ledger is in place.
        self.write_heads(&[self.ledger.head(), ledger.head()])?;
        self.rename_synced(&new, &self.path)?;
        (self.ledger, self.keys) = (ledger, keys);
        self.write_heads(&[self.ledger.head()])
    }

    fn write_heads(&self, heads: &[Option<Head>]) -> Result<()> {
        let heads: Vec<Head> = heads.iter().flatten().copied().collect();
        let path = head_path(&self.path);
        let doing = || format!("writing {}", path.display());
        let json = serde_json::to_vec(&heads).or_fail(Exit::Software, doing)?;
        let new = path.with_extension("head.new");
        new_file::write(&new, &json)?;
        self.rename_synced(&new, &path)
    }

    fn rename_synced(&self, from: &Path, to: &Path) -> Result<()> {
        files::rename(from, to).or_fail_io(|| format!("renaming {} to {}", from.display(), to.display()))?;
        sync_directory(self.directory())
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// Reads the ledger in file `path`, which has no head: that of a kept database, or an incoming one.
///
/// # Errors
/// I/O; Data (65) with the number of the damaged line.
pub fn read_text(path: &Path, keys: Keys) -> Result<Draft> {
    let doing = || format!("reading {}", path.display());
    let text = files::read(path).if_there(doing)?.unwrap_or_default();
    let ledger = Ledger::parse(&*text, &keys)
        .map_err(|broken| Failure::new(Exit::Data, doing()).because(broken.to_string()))?;
    Ok(Draft::of(text, ledger, keys))
}

/// Returns the path of `purge-ledger.head`.
fn head_path(path: &Path) -> PathBuf {
    path.with_extension("head")
}

/// Returns the possible heads of the ledger: one, or two while one ledger replaces another.
fn read_heads(path: &Path) -> Result<Vec<Head>> {
    let path = head_path(path);
    let doing = || format!("reading {}", path.display());
    let Some(json) = files::read(&path).if_there(doing)? else { return Ok(Vec::new()) };
    serde_json::from_slice(&json).or_fail(Exit::Data, doing)
}

pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    files::remove_if_there(path).or_fail_io(|| format!("removing {}", path.display()))
}

#[cfg(test)]
mod tests;
