//! Lists by time.

use jiff::Timestamp;
use serde_json::Value;

use crate::input::fields::Fields;
use crate::input::{MOST_LISTED, Result};
use crate::problem::Problem;

/// How many a stretch between two moments may list: more than other lists, as programs of the first NEXUS ask.
const MOST_IN_RANGE: i64 = 200;

/// The bodies of `POST /memory/temporal/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Temporal {
    /// Which stretch of time.
    pub stretch: Stretch,
    /// How many at most.
    pub limit: i64,
    /// With one of these at least; empty = whatever they have.
    pub tags: Vec<String>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Before then, newest first.
    Before(Timestamp),
    /// After then, oldest first.
    After(Timestamp),
    /// From the first to the second, both included, oldest first.
    Range(Timestamp, Timestamp),
}

impl Temporal {
    /// Reads the body of `before` or `after`, whose stretch `make` makes.
    ///
    /// # Errors
    /// 422.
    pub fn from_moment(body: Value, make: fn(Timestamp) -> Stretch) -> Result<Self> {
        let mut fields = Fields::of(body)?;
        let stretch = make(fields.needed_moment("timestamp")?);
        Self::rest(fields, stretch, 10, MOST_LISTED)
    }

    /// Reads the body of `range`.
    ///
    /// # Errors
    /// 422.
    pub fn from_range(body: Value) -> Result<Self> {
        let mut fields = Fields::of(body)?;
        let (start, end) = (fields.needed_moment("start")?, fields.needed_moment("end")?);
        if end < start {
            return Err(Problem::invalid("end", "It must not be before start."));
        }
        Self::rest(fields, Stretch::Range(start, end), 50, MOST_IN_RANGE)
    }

    fn rest(mut fields: Fields, stretch: Stretch, usual: i64, most: i64) -> Result<Self> {
        let limit = fields.whole("limit", 1..=most)?.unwrap_or(usual);
        Ok(Self { stretch, limit, tags: fields.tags("tags")?.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_range_has_an_order() {
        let wrong = json!({"start": "2026-01-02", "end": "2026-01-01"});
        assert_eq!(Temporal::from_range(wrong).unwrap_err().field.unwrap(), "end");
        let empty = json!({"start": "2026-01-02", "end": "2026-01-02", "limit": 3});
        assert_eq!(Temporal::from_range(empty).unwrap().limit, 3);
        let long = json!({"start": "2026-01-02", "end": "2026-01-03"});
        assert_eq!(Temporal::from_range(long).unwrap().limit, 50);
        let longest = json!({"start": "2026-01-02", "end": "2026-01-03", "limit": 200});
        assert_eq!(Temporal::from_range(longest).unwrap().limit, 200);
        let missing = Temporal::from_moment(json!({}), Stretch::Before).unwrap_err();
        assert_eq!(missing.field.unwrap(), "timestamp");
    }
}
