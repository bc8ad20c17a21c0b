//! Parses requests and checks their fields. Each error names its field.

pub mod episode;
pub mod fields;
pub mod json;
pub mod query;
pub mod search;
pub mod temporal;

use crate::error::ApiError;

/// The result of parsing.
pub type Result<T> = std::result::Result<T, ApiError>;

/// The dimensions of a vector: the column is `vector(384)`.
pub const DIMENSIONS: usize = 384;

/// The most tags of an episode or a search.
pub const MOST_TAGS: usize = 50;

/// The longest tag, type or name, in characters.
pub const LONGEST_NAME: usize = 200;

/// The most entries of a list in one response.
pub const MOST_LISTED: i64 = 100;
