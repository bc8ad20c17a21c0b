//! Which bytes are a request, and what its fields may hold. Whatever is wrong is said with the field's name.

pub mod episode;
pub mod fields;
pub mod json;
pub mod query;
pub mod search;
pub mod temporal;

use crate::problem::Problem;

/// `Result` of everything here.
pub type Result<T> = std::result::Result<T, Problem>;

/// Numbers a vector has: the column is `vector(384)`.
pub const DIMENSIONS: usize = 384;

/// Most tags of an episode or a search.
pub const MOST_TAGS: usize = 50;

/// The longest tag, type or name, in characters.
pub const LONGEST_NAME: usize = 200;

/// The most of anything that is listed, in one answer.
pub const MOST_LISTED: i64 = 100;
