//! Reads RDB files of Redis 5 to 8.0 (versions 9 to 12) and summarizes their contents in one
//! digest. The digest does not depend on how Redis encoded the values or on the order of its hash
//! tables.
//!
//! It reads the file once and holds at most the last 64 KiB of input and the last 32 KiB of
//! decompressed data. (Redis's rdb.h and rdb.c.)

mod content;
mod crc64;
mod lzf;
mod packed;
mod source;
mod summary;
mod value;

use std::fmt;
use std::io::{self, ErrorKind, Read};

use jiff::Timestamp;

use crate::source::{Source, damaged};
use crate::summary::digest_of;

pub use summary::{Collected, Database, Summary};

/// The supported versions of the format.
const VERSIONS: std::ops::RangeInclusive<u32> = 9..=12;

/// Why a file could not be read.
#[derive(Debug)]
pub struct Error {
    /// The input's own error; `InvalidData` or `UnexpectedEof` if the input is not a whole RDB
    /// file.
    pub cause: io::Error,
    /// The number of bytes before the error.
    pub position: u64,
}

impl Error {
    /// Returns whether the file is damaged or of a newer version. Otherwise reading it failed.
    pub fn is_damage(&self) -> bool {
        matches!(self.cause.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.position, self.cause)
    }
}

impl std::error::Error for Error {}

/// Reads an RDB file from `input` to its end and returns its summary.
///
/// It leaves out keys and hash fields that expire before `cutoff`, and keys that become empty. With
/// a cutoff after both, two summaries can be compared although keys expire in between. It also
/// leaves out what is not data: how recently a key was used, what wrote the file, and what modules
/// keep outside of keys.
///
/// # Errors
/// The input is not a whole RDB file, or contains something of a newer version; the input's own
/// errors.
pub fn summarize(mut input: impl Read, cutoff: Timestamp) -> Result<Summary, Error> {
    let mut reader = Reader {
        source: Source::new(&mut input),
        cutoff: cutoff.as_millisecond(),
        summary: Summary::default(),
    };
    match reader.file() {
        Ok(()) => Ok(reader.summary),
        Err(cause) => Err(Error { cause, position: reader.source.position() }),
    }
}

/// A file during reading.
struct Reader<'a> {
    source: Source<'a>,
    cutoff: i64,
    summary: Summary,
}

impl Reader<'_> {
    fn file(&mut self) -> io::Result<()> {
        self.head()?;
        let mut database = 0;
        let mut expiry = None;
        loop {
            match self.source.byte()? {
                // Slots of a cluster: number, keys, keys with a time to live.
                244 => self.skip_lengths(3)?,
                245 => self.summary.functions.add(content::string(&mut self.source)?),
                247 => value::skip_module_data(&mut self.source)?,
                // Idle time.
                248 => self.skip_lengths(1)?,
                // Frequency of use.
                249 => drop(self.source.byte()?),
                // What wrote the file.
                250 => {
                    content::string(&mut self.source)?;
                    content::string(&mut self.source)?;
                }
                // Sizes of the hash tables.
                251 => self.skip_lengths(2)?,
                252 => expiry = Some(self.source.milliseconds()?),
                254 => {
                    let number = self.source.length()?;
                    database = u32::try_from(number)
                        .map_err(|_| damaged("the number of a database is out of range"))?;
                }
                255 => return self.tail(),
                kind => self.key(database, kind, expiry.take())?,
            }
        }
    }

    fn head(&mut self) -> io::Result<()> {
        let head: [u8; 9] = self.source.array()?;
        let version = head
            .strip_prefix(b"REDIS")
            .filter(|digits| digits.iter().all(u8::is_ascii_digit))
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
            .ok_or_else(|| damaged("not an RDB file"))?;
        if !VERSIONS.contains(&version) {
            let (oldest, newest) = VERSIONS.into_inner();
            return Err(damaged(format!(
                "version {version} is not supported; this NEXUS reads {oldest} (Redis 5) to {newest} (Redis 8.0)"
            )));
        }
        Ok(())
    }

    /// Reads the checksum and the end of the file.
    fn tail(&mut self) -> io::Result<()> {
        let computed = self.source.crc();
        let stored = u64::from_le_bytes(self.source.array()?);
        // Zero: the checksum is disabled in Redis.
        if stored != 0 && stored != computed {
            return Err(damaged("the checksum is wrong"));
        }
        if !self.source.peek()?.is_empty() {
            return Err(damaged("data after the end of the file"));
        }
        Ok(())
    }

    fn key(&mut self, database: u32, kind: u8, expiry: Option<i64>) -> io::Result<()> {
        let kind = value::Encoding::of(kind)?;
        let name = content::string(&mut self.source)?;
        let value = kind.read(&mut self.source, self.cutoff)?;
        let Some(value) = value.filter(|_| expiry.is_none_or(|end| end >= self.cutoff)) else {
            return Ok(());
        };
        let key = digest_of([
            &[kind.type_tag()],
            name.as_bytes(),
            &[expiry.is_some().into()],
            &expiry.unwrap_or_default().to_le_bytes(),
            value.as_bytes(),
        ]);
        let database = self.summary.databases.entry(database).or_default();
        *database.by_type.entry(kind.type_name()).or_default() += 1;
        database.with_ttl += u64::from(expiry.is_some());
        database.keys.add(key);
        Ok(())
    }

    fn skip_lengths(&mut self, count: usize) -> io::Result<()> {
        (0..count).try_for_each(|_| self.source.length().map(drop))
    }
}

#[cfg(test)]
mod tests;
