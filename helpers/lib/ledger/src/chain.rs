//! The text of the ledger: lines of JSON, each with a MAC over itself and the previous MAC.
//!
//! A line ends in `,"mac":"` 64 digits `"}` and a line feed. The MAC is the HMAC-SHA-256 of the
//! previous MAC (64 zeros for the first line), a line feed, and the line up to that ending. So a
//! reader needs no canonical form of JSON.

use std::fmt;
use std::io::{self, BufRead, Read};

use nexus_cli::text::beginning;
use nexus_digest::Digest;
use serde::{Deserialize, Serialize};

use super::entry::{Decision, Entry, What};
use super::key::{KeyId, Keys};

/// The longest line, in bytes: ten thousand hashes and the other fields.
const LONGEST: u64 = 1 << 20;

/// The text before the MAC.
const BEFORE_MAC: &str = ",\"mac\":\"";

/// The text after the MAC.
const AFTER_MAC: &str = "\"}";

/// The previous MAC of the first line.
const NO_MAC: [u8; 32] = [0; 32];

/// A verified line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number of the line, from 1.
    pub number: u64,
    /// The content of the line.
    pub entry: Entry,
    /// The MAC, which also identifies the line.
    pub mac: Digest,
}

impl Line {
    /// Returns the decision, if the line is one.
    pub fn decision(&self) -> Option<&Decision> {
        match &self.entry.what {
            What::Decision(decision) => Some(decision),
            What::Done(_) => None,
        }
    }

    /// Returns the MAC of the line in which the decision was first written; `None` if the line is
    /// not a decision.
    pub fn origin(&self) -> Option<Digest> {
        self.decision().map(|decision| decision.adopted.unwrap_or(self.mac))
    }
}

/// The fields of a line before its MAC.
#[derive(Serialize, Deserialize)]
struct Body {
    n: u64,
    key: KeyId,
    #[serde(flatten)]
    entry: Entry,
}

/// The length of a ledger, and its last MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of lines.
    pub lines: u64,
    /// The MAC of the last line.
    pub mac: Digest,
}

/// The position and cause of damage in a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The number of the line, from 1.
    pub line: u64,
    /// The cause.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A verified ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    lines: Vec<Line>,
    bytes: u64,
    is_torn: bool,
}

impl Ledger {
    /// Reads lines and verifies the chain. Ignores a last line without a line feed: it was never
    /// completed, so nothing was deleted for it.
    ///
    /// # Errors
    /// The first damaged line.
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

    /// Returns the text of one more line, with its line feed, and the line.
    ///
    /// # Errors
    /// `entry` cannot be written as JSON, or is too long for a line.
    pub fn next(&self, entry: Entry, keys: &Keys) -> io::Result<(String, Line)> {
        let number = self.lines.len() as u64 + 1;
        let key = keys.current();
        let body = serde_json::to_string(&Body { n: number, key: key.id().clone(), entry: entry.clone() })?;
        let body = body.strip_suffix('}').unwrap_or(&body);
        let mac = key.hash("line", &covered(self.last_mac(), body.as_bytes()));
        let line = format!("{body}{BEFORE_MAC}{mac}{AFTER_MAC}\n");
        if line.len() as u64 > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the line is too long"));
        }
        Ok((line, Line { number, entry, mac }))
    }

    /// Adds a line that [`Self::next`] returned and that is on disk.
    pub(super) fn push(&mut self, text: &str, line: Line) {
        self.bytes += text.len() as u64;
        self.lines.push(line);
    }

    /// Returns all lines, the oldest first.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Returns the length of the lines in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether an incomplete line follows.
    pub fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Returns the head; `None` if the ledger is empty.
    pub fn head(&self) -> Option<Head> {
        self.lines.last().map(|line| Head { lines: line.number, mac: line.mac })
    }

    /// Returns whether the ledger once ended at `head`.
    pub(crate) fn went_through(&self, head: Head) -> bool {
        let index = usize::try_from(head.lines).unwrap_or(usize::MAX).checked_sub(1);
        index.and_then(|index| self.lines.get(index)).is_some_and(|line| line.mac == head.mac)
    }

    /// Returns the decisions that no line records as done, the oldest first.
    pub fn open(&self) -> Vec<&Line> {
        let done = done_by(&self.lines);
        self.lines.iter().filter(|line| line.decision().is_some() && !done.contains(&line.mac)).collect()
    }

    fn last_mac(&self) -> Digest {
        self.lines.last().map_or(Digest::from(NO_MAC), |line| line.mac)
    }
}

/// Returns the decisions that `lines` record as done.
pub(super) fn done_by(lines: &[Line]) -> std::collections::BTreeSet<Digest> {
    let done = lines.iter().filter_map(|line| match &line.entry.what {
        What::Done(done) => Some(done.of),
        What::Decision(_) => None,
    });
    done.collect()
}

/// Reads up to the next line feed and includes it, at most one byte more than the longest line.
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
    let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    let cut = line.strip_suffix(AFTER_MAC).and_then(|line| line.len().checked_sub(64).map(|at| (line, at)));
    let (before, mac) =
        cut.and_then(|(line, at)| line.split_at_checked(at)).ok_or("it ends without a MAC")?;
    let mac: Digest = mac.parse().map_err(|_| "it ends without a MAC")?;
    let body = before.strip_suffix(BEFORE_MAC).ok_or("it ends without a MAC")?;
    let read: Body = serde_json::from_str(&format!("{body}}}")).map_err(|error| {
        format!("malformed, or written by a newer NEXUS: {}", beginning(&error.to_string()))
    })?;
    let key = keys.find(&read.key).ok_or_else(|| {
        format!(
            "it was written with key {}, which is not in the credential ledger_key",
            beginning(&read.key.to_string())
        )
    })?;
    if read.n != number {
        return Err(format!("its number is {}: lines were removed or added", read.n));
    }
    if key.hash("line", &covered(previous, body.as_bytes())) != mac {
        return Err("wrong MAC: this line or an earlier one was altered".to_owned());
    }
    Ok(Line { number, entry: read.entry, mac })
}

#[cfg(test)]
pub(super) mod tests;
