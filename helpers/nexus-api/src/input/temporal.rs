//! The bodies of lists by time.

use jiff::Timestamp;
use serde_json::Value;

use crate::error::ApiError;
use crate::input::fields::Fields;
use crate::input::{MOST_LISTED, Result};

/// The largest `limit` of a range. It is above that of other lists because programs of the first
/// NEXUS ask for it.
const MOST_IN_RANGE: i64 = 200;

/// The bodies of `POST /memory/temporal/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Temporal {
    /// The period of the episodes.
    pub period: Period,
    /// The most results.
    pub limit: i64,
    /// Each result has at least one of these tags; empty means any.
    pub tags: Vec<String>,
}

/// A period of time, and the order of its episodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Before this time, newest first.
    Before(Timestamp),
    /// After this time, oldest first.
    After(Timestamp),
    /// From the first to the second, both included, oldest first.
    Range(Timestamp, Timestamp),
}

impl Temporal {
    /// Parses the body of `before` or `after`; `period` makes the period from its time.
    ///
    /// # Errors
    /// 422 if a field is missing or invalid.
    pub fn from_moment(body: Value, period: fn(Timestamp) -> Period) -> Result<Self> {
        let mut fields = Fields::of(body)?;
        let period = period(fields.needed_moment("timestamp")?);
        Self::rest(fields, period, 10, MOST_LISTED)
    }

    /// Parses the body of `range`.
    ///
    /// # Errors
    /// 422 if a field is missing or invalid.
    pub fn from_range(body: Value) -> Result<Self> {
        let mut fields = Fields::of(body)?;
        let (start, end) = (fields.needed_moment("start")?, fields.needed_moment("end")?);
        if end < start {
            return Err(ApiError::invalid("end", "It must not be before start."));
        }
        Self::rest(fields, Period::Range(start, end), 50, MOST_IN_RANGE)
    }

    fn rest(mut fields: Fields, period: Period, default: i64, most: i64) -> Result<Self> {
        let limit = fields.whole("limit", 1..=most)?.unwrap_or(default);
        Ok(Self { period, limit, tags: fields.tags("tags")?.unwrap_or_default() })
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
        let missing = Temporal::from_moment(json!({}), Period::Before).unwrap_err();
        assert_eq!(missing.field.unwrap(), "timestamp");
    }
}
