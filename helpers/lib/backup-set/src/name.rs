//! The name of a set: a sequence number, which orders the sets, and the UTC time of its snapshot,
//! which is for people (a clock can jump).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

/// The highest number of a set. Hourly sets would need 100,000 years to reach it. Any user who can
/// create a directory chooses the number in its name, so a larger one is not the name of a set:
/// then no later number can overflow.
pub const HIGHEST: u64 = 999_999_999;

/// Returns the number of a set to remember: 0 (none) if it is in the upper half. Such a number
/// comes from a directory that no backup created. Remembered, it could leave no number for the next
/// set, even after that directory is removed.
pub fn to_remember(number: u64) -> u64 {
    if number <= HIGHEST / 2 { number } else { 0 }
}

/// Deserializes a remembered number by the rule of [`to_remember`].
///
/// # Errors
/// Those of a `u64`.
pub fn remembered<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    u64::deserialize(from).map(to_remember)
}

/// The name of a set, such as `000042-20261122T030012Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetName {
    /// The number, one more for each set, up to [`HIGHEST`]; never reused.
    pub sequence: u64,
    /// The time of the snapshot, to the second.
    pub taken: Timestamp,
}

/// The error for a text that is not the name of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASetName;

impl fmt::Display for NotASetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set's name looks like 000042-20261122T030012Z")
    }
}

impl std::error::Error for NotASetName {}

impl SetName {
    /// Creates the name of set `sequence`, taken at `now`.
    pub fn new(sequence: u64, now: Timestamp) -> Self {
        let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self { sequence, taken: whole }
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = self.taken.to_zoned(TimeZone::UTC).datetime();
        write!(
            f,
            "{:06}-{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            self.sequence,
            taken.year(),
            taken.month(),
            taken.day(),
            taken.hour(),
            taken.minute(),
            taken.second()
        )
    }
}

impl FromStr for SetName {
    type Err = NotASetName;

    fn from_str(text: &str) -> Result<Self, NotASetName> {
        let (sequence, taken) = text.split_once('-').ok_or(NotASetName)?;
        let sequence: u64 = sequence.parse().map_err(|_| NotASetName)?;
        if sequence > HIGHEST {
            return Err(NotASetName);
        }
        let name = Self { sequence, taken: parse_taken(taken).ok_or(NotASetName)? };
        // Only the canonical form: no sign, no other padding.
        if name.to_string() == text { Ok(name) } else { Err(NotASetName) }
    }
}

/// Parses a time such as `20261122T030012Z`.
fn parse_taken(text: &str) -> Option<Timestamp> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<i8>().ok();
    let year = text[0..4].parse::<i16>().ok()?;
    let moment = DateTime::new(
        year,
        number(4..6)?,
        number(6..8)?,
        number(9..11)?,
        number(11..13)?,
        number(13..15)?,
        0,
    );
    moment.ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_parsed_and_written_in_one_form() {
        let name: SetName = "000042-20261122T030012Z".parse().unwrap();
        assert_eq!(name.sequence, 42);
        assert_eq!(name.to_string(), "000042-20261122T030012Z");
    }

    #[test]
    fn other_forms_of_a_name_are_refused() {
        for text in
            ["42-20261122T030012Z", "+00042-20261122T030012Z", "000042-20261322T030012Z", ".000042", "000042"]
        {
            assert_eq!(text.parse::<SetName>(), Err(NotASetName), "{text}");
        }
    }

    #[test]
    fn a_number_above_the_highest_is_refused() {
        let parse = |number: u64| format!("{number:06}-20261122T030012Z").parse::<SetName>();
        assert_eq!(parse(HIGHEST).map(|name| name.sequence), Ok(HIGHEST));
        for number in [HIGHEST + 1, u64::MAX - 1, u64::MAX] {
            assert_eq!(parse(number), Err(NotASetName), "{number}");
        }
    }

    proptest! {
        #[test]
        fn every_name_round_trips(sequence in 0..=HIGHEST, second in 0i64..7_000_000_000) {
            let name = SetName::new(sequence, Timestamp::from_second(second)?);
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }

        #[test]
        fn rubbish_never_panics(text in ".{0,40}") {
            let _either = text.parse::<SetName>();
        }
    }
}
