//! A ledger in memory that replaces the one on disk in one step.

use jiff::Timestamp;
use nexus_cli::failure::{OrFailIo, Result};

use super::chain::{Ledger, Line};
use super::entry::{Entry, What};
use super::key::Keys;

/// The text of a ledger, its parsed form, and its keys.
#[derive(Clone, Debug)]
pub struct Draft {
    text: Vec<u8>,
    ledger: Ledger,
    keys: Keys,
}

impl Draft {
    /// Starts from `text`, from which `ledger` was read with `keys`.
    pub fn of(mut text: Vec<u8>, ledger: Ledger, keys: Keys) -> Self {
        // An incomplete last line does not count.
        text.truncate(usize::try_from(ledger.bytes()).unwrap_or(usize::MAX));
        Self { text, ledger, keys }
    }

    /// Appends a line.
    ///
    /// # Errors
    /// Io (74) when the line would be too long.
    pub fn append(&mut self, by: &str, what: What) -> Result<Line> {
        let entry = Entry { at: Timestamp::now(), by: by.to_owned(), what };
        let (text, line) = self.ledger.next(entry, &self.keys).or_fail_io(|| "writing the purge ledger")?;
        self.text.extend_from_slice(text.as_bytes());
        self.ledger.push(&text, line.clone());
        Ok(line)
    }

    /// Returns the text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the parsed ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
}
