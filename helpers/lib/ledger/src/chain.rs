//! The ledger's text: lines of JSON, each with a MAC over itself and the one before.
//!
//! A line ends in `,"mac":"` 64 digits `"}` and a line feed. The MAC is the HMAC-SHA-256 of the MAC before (64 zeros for
//! the first), a line feed, and the line up to that ending, so a reader needs no canonical form of JSON.

use std::fmt;
use std::io::{self, BufRead, Read};

use nexus_cli::text::beginning;
use nexus_digest::Digest;
use serde::{Deserialize, Serialize};

use super::entry::{Decision, Entry, What};
use super::key::{KeyId, Keys};

/// The longest line, in bytes: ten thousand hashes and what goes with them.
const LONGEST: u64 = 1 << 20;

/// What comes before the MAC.
const BEFORE_MAC: &str = ",\"mac\":\"";

/// What comes after it.
const AFTER_MAC: &str = "\"}";

/// Stands for the MAC before the first line.
const NO_MAC: [u8; 32] = [0; 32];

/// A line that was read and is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counts from 1.
    pub number: u64,
    /// What it says.
    pub entry: Entry,
    /// Names the line, too.
    pub mac: Digest,
}

impl Line {
    /// The decision, if it is one.
    pub fn decision(&self) -> Option<&Decision> {
        match &self.entry.what {
            What::Decision(decision) => Some(decision),
            What::Done(_) => None,
        }
    }

    /// The line that the decision was first written in; nothing for a line that is none.
    pub fn origin(&self) -> Option<Digest> {
        self.decision().map(|decision| decision.adopted.unwrap_or(self.mac))
    }
}

/// What is written of a line before its MAC, but for the closing brace.
#[derive(Serialize, Deserialize)]
struct Body {
    n: u64,
    key: KeyId,
    #[serde(flatten)]
    entry: Entry,
}

/// How long a ledger is, and its last MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Lines.
    pub lines: u64,
    /// MAC of the last.
    pub mac: Digest,
}

/// Where a ledger is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Counts from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A ledger that was read and is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    lines: Vec<Line>,
    bytes: u64,
    is_torn: bool,
}

impl Ledger {
    /// Reads lines and checks the chain. A last line without its line feed was never finished, so nothing was done
    /// by it: it does not count.
    ///
    /// # Errors
    /// The first line that is not right; line 0 when the text cannot be read.
    pub fn parse(mut text: impl BufRead, keys: &Keys) -> Result<Self, Broken> {
        let mut ledger = Self::default();
        loop {
            let number = ledger.lines.len() as u64 + 1;
            let broken = |why: String| Broken { line: number, why };
            let line = next_line(&mut text).map_err(|error| broken(error.to_string()))?;
            let Some(whole) = line.strip_suffix(b"\n") else {
                if line.len() as u64 > LONGEST {
                    return Err(broken(format!("it is longer than {LONGEST} bytes")));
                }
                ledger.is_torn = !line.is_empty();
                return Ok(ledger);
            };
            let read = read_line(whole, number, ledger.last_mac(), keys).map_err(broken)?;
            ledger.bytes += line.len() as u64;
            ledger.lines.push(read);
        }
    }

    /// The text of one more line, with its line feed, and the line.
    ///
    /// # Errors
    /// When `entry` cannot be written as JSON, or is too long for a line.
    pub fn next(&self, entry: Entry, keys: &Keys) -> io::Result<(String, Line)> {
        let number = self.lines.len() as u64 + 1;
        let key = keys.current();
        let body = serde_json::to_string(&Body { n: number, key: key.id().clone(), entry: entry.clone() })?;
        let body = body.strip_suffix('}').unwrap_or(&body);
        let mac = key.hash("line", &covered(self.last_mac(), body.as_bytes()));
        let line = format!("{body}{BEFORE_MAC}{mac}{AFTER_MAC}\n");
        if line.len() as u64 > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is too long for a line"));
        }
        Ok((line, Line { number, entry, mac }))
    }

    /// Takes a line that [`Self::next`] gave and that is on the disk.
    pub(super) fn push(&mut self, text: &str, line: Line) {
        self.bytes += text.len() as u64;
        self.lines.push(line);
    }

    /// Every line, the oldest first.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Bytes of the lines.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a line follows that was not finished.
    pub fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// How long it is; nothing when it has no line.
    pub fn head(&self) -> Option<Head> {
        self.lines.last().map(|line| Head { lines: line.number, mac: line.mac })
    }

    /// Whether it once ended there.
    pub fn went_through(&self, head: Head) -> bool {
        let index = usize::try_from(head.lines).unwrap_or(usize::MAX).checked_sub(1);
        index.and_then(|index| self.lines.get(index)).is_some_and(|line| line.mac == head.mac)
    }

    /// The decisions that no line says are done, the oldest first.
    pub fn open(&self) -> Vec<&Line> {
        let done = done_by(&self.lines);
        self.lines.iter().filter(|line| line.decision().is_some() && !done.contains(&line.mac)).collect()
    }

    fn last_mac(&self) -> Digest {
        self.lines.last().map_or(Digest::from(NO_MAC), |line| line.mac)
    }
}

/// The decisions that `lines` say are done.
pub(super) fn done_by(lines: &[Line]) -> std::collections::BTreeSet<Digest> {
    let done = lines.iter().filter_map(|line| match &line.entry.what {
        What::Done(done) => Some(done.of),
        What::Decision(_) => None,
    });
    done.collect()
}

/// The bytes up to and with the next line feed, no more than a line may have and one.
fn next_line(text: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    text.take(LONGEST + 1).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn covered(previous: Digest, body: &[u8]) -> Vec<u8> {
    let mut covered = format!("{previous}\n").into_bytes();
    covered.extend_from_slice(body);
    covered
}

fn read_line(line: &[u8], number: u64, previous: Digest, keys: &Keys) -> Result<Line, String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is no UTF-8")?;
    let cut = line.strip_suffix(AFTER_MAC).and_then(|line| line.len().checked_sub(64).map(|at| (line, at)));
    let (before, mac) =
        cut.and_then(|(line, at)| line.split_at_checked(at)).ok_or("it ends without a MAC")?;
    let mac: Digest = mac.parse().map_err(|_| "it ends without a MAC")?;
    let body = before.strip_suffix(BEFORE_MAC).ok_or("it ends without a MAC")?;
    let read: Body = serde_json::from_str(&format!("{body}}}")).map_err(|error| {
        format!("it is not understood, or a newer NEXUS wrote it: {}", beginning(&error.to_string()))
    })?;
    let key = keys.find(&read.key).ok_or_else(|| {
        format!(
            "it was written with key {}, which is not in the credential ledger_key",
            beginning(&read.key.to_string())
        )
    })?;
    if read.n != number {
        return Err(format!("it was written as line {}: lines are missing or were added", read.n));
    }
    if key.hash("line", &covered(previous, body.as_bytes())) != mac {
        return Err("its MAC is not right: it or a line before it was changed".to_owned());
    }
    Ok(Line { number, entry: read.entry, mac })
}

#[cfg(test)]
pub(super) mod tests;
