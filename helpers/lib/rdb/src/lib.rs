//! Reading RDB files as Redis 5 to 8.0 write them (versions 9 to 12), to say what they hold: one digest that does not
//! depend on how Redis encoded the values or in which order its hash tables stood.
//!
//! The file goes by once, nothing is held but the 64 KiB that were read last and the 32 KiB that were unpacked last.
//! (Redis's rdb.h and rdb.c.)

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

/// The versions of the format that are read.
const VERSIONS: std::ops::RangeInclusive<u32> = 9..=12;

/// Why a file could not be read.
#[derive(Debug)]
pub struct Error {
    /// The input's own error; `InvalidData` or `UnexpectedEof` for what is no whole RDB file.
    pub cause: io::Error,
    /// Bytes that were read before it.
    pub position: u64,
}

impl Error {
    /// Whether the file is damaged or of a newer version, rather than unreadable.
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

/// Says what the RDB file that `input` gives to its end holds.
///
/// Keys and hash fields that end before `cutoff` are left out, and so is a key of which nothing else is left: two
/// summaries with a cutoff that lies behind them both can be compared although keys expire meanwhile. Also left out is
/// what is no data: how recently a key was used, what wrote the file, and what modules keep outside of keys.
///
/// # Errors
/// When it is no whole RDB file or holds something of a newer version; the input's own.
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

/// A file that is being read.
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
                    database = u32::try_from(number).map_err(|_| damaged("no database has such a number"))?;
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
            .ok_or_else(|| damaged("it is no RDB file"))?;
        if !VERSIONS.contains(&version) {
            let (oldest, newest) = VERSIONS.into_inner();
            return Err(damaged(format!(
                "its version is {version}, this NEXUS reads {oldest} (Redis 5) to {newest} (Redis 8.0)"
            )));
        }
        Ok(())
    }

    /// The checksum, and nothing behind it.
    fn tail(&mut self) -> io::Result<()> {
        let computed = self.source.crc();
        let stored = u64::from_le_bytes(self.source.array()?);
        // Zero: Redis was told not to compute it.
        if stored != 0 && stored != computed {
            return Err(damaged("its checksum is wrong"));
        }
        if !self.source.peek()?.is_empty() {
            return Err(damaged("it goes on behind its end"));
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
