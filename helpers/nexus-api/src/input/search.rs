//! The body of a search.

use jiff::Timestamp;
use serde_json::Value;

use crate::error::ApiError;
use crate::input::episode::{Embedding, embedding};
use crate::input::fields::{Fields, missing};
use crate::input::{LONGEST_NAME, MOST_LISTED, Result};

/// The longest query, in characters.
pub(crate) const LONGEST_QUERY: usize = 10_000;

/// How a search finds episodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Finds episodes by meaning and by words.
    Hybrid,
    /// Finds episodes by meaning.
    Vector,
    /// Finds episodes by words.
    Text,
}

/// Conditions that each result meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// The episode has all these tags.
    pub tags: Vec<String>,
    /// The episode has this type.
    pub kind: Option<String>,
    /// The episode is not older.
    pub since: Option<Timestamp>,
    /// The episode is not newer.
    pub until: Option<Timestamp>,
}

/// The body of `POST /memory/search`.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The text to search for. It may be empty if the request has an embedding.
    pub query: String,
    /// The most results.
    pub limit: i64,
    /// The least similarity of a result that is found by meaning.
    pub min_similarity: f64,
    /// How to search.
    pub mode: Mode,
    /// Conditions that each result meets.
    pub filters: Filters,
    /// A vector to use instead of the query's.
    pub embedding: Option<Embedding>,
}

impl Search {
    /// Parses the body.
    ///
    /// # Errors
    /// 422 if a field is missing or invalid.
    pub fn from_body(body: Value) -> Result<Self> {
        let mut fields = Fields::of(body)?;
        let query = fields.text("query", LONGEST_QUERY)?.ok_or_else(|| missing("query"))?;
        let limit = fields.whole("limit", 1..=MOST_LISTED)?.unwrap_or(10);
        let min_similarity = fields.number("min_similarity", 0.0..=1.0)?.unwrap_or(0.5);
        let mode = match fields.text("mode", LONGEST_NAME)?.as_deref() {
            None | Some("hybrid") => Mode::Hybrid,
            Some("vector") => Mode::Vector,
            Some("text") => Mode::Text,
            Some(_) => return Err(ApiError::invalid("mode", "It must be hybrid, vector or text.")),
        };
        let filters = Filters {
            tags: fields.tags("tags")?.unwrap_or_default(),
            kind: fields.text("type", LONGEST_NAME)?,
            since: fields.moment("since")?,
            until: fields.moment("until")?,
        };
        let embedding = embedding(&mut fields)?;
        if query.trim().is_empty() && (embedding.is_none() || mode == Mode::Text) {
            return Err(ApiError::invalid("query", "It must not be empty, unless an embedding is given."));
        }
        Ok(Self { query, limit, min_similarity, mode, filters, embedding })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_absent_field_has_its_default() {
        let search = Search::from_body(json!({"query": "x", "tags": null, "limit": 7.0})).unwrap();
        assert_eq!((search.limit, search.min_similarity, search.mode), (7, 0.5, Mode::Hybrid));
        assert_eq!(search.filters, Filters::default());
    }

    #[test]
    fn an_error_names_its_field() {
        for (body, field) in [
            (json!({}), "query"),
            (json!({"query": " "}), "query"),
            (json!({"query": "x".repeat(LONGEST_QUERY + 1)}), "query"),
            (json!({"query": "x", "limit": 0}), "limit"),
            (json!({"query": "x", "limit": 101}), "limit"),
            (json!({"query": "x", "limit": 1.5}), "limit"),
            (json!({"query": "x", "limit": "10"}), "limit"),
            (json!({"query": "x", "min_similarity": 1.5}), "min_similarity"),
            (json!({"query": "x", "mode": "magic"}), "mode"),
            (json!({"query": "x", "since": "yesterday"}), "since"),
            (json!({"query": "x", "embedding": [1]}), "embedding"),
        ] {
            assert_eq!(Search::from_body(body).unwrap_err().field.unwrap(), field);
        }
    }
}
