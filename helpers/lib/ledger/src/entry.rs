//! The content of a line of the ledger: a decision to forget rows, or the record that one is done.

use jiff::Timestamp;
use nexus_digest::Digest;
use serde::{Deserialize, Serialize};

use super::key::KeyId;

/// An event with its time and origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the line was written.
    pub at: Timestamp,
    /// The origin: a rule, a person's command line, a restore.
    pub by: String,
    /// The event.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Rows to forget, now and after each restore.
    Decision(Box<Decision>),
    /// A decision is done: its rows are gone from the table and from its pages.
    Done(Done),
}

/// The record of a decision that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The MAC of the decision's line.
    pub of: Digest,
    /// The number of rows deleted. After a killed run: those of the last run only, or those that
    /// the decision had found.
    pub rows: u64,
}

/// A decision to forget rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The table of the rows.
    pub table: TableColumns,
    /// The rows.
    pub forget: Forget,
    /// The MAC of the line from which this was adopted, after two ledgers diverged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Digest>,
    /// The number of rows found, if they were deleted at once: the run that cleans up and records
    /// the decision as done finds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<u64>,
    /// Whether a person agreed to delete any number of rows. Otherwise the run that finishes it
    /// applies `NEXUS_PURGE_MAX_SHARE` again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub agreed: bool,
}

/// The names of the table and its columns, as in the catalog, not quoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableColumns {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column that identifies a row for ever: its primary key.
    pub key: String,
    /// The column of the time, from which the age is computed.
    pub time: String,
    /// The place of the type: `column`, or `column->>member` of a JSON column.
    #[serde(rename = "type")]
    pub kind: String,
    /// The column of the tags, an array of texts.
    pub tags: String,
    /// The column of the agent.
    pub agent: String,
}

/// The rows that a decision forgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forget {
    /// The rows with these keys.
    Keys(Hashes),
    /// The rows that match all of these conditions.
    Rows(Rows),
}

/// Conditions on rows. An absent condition matches every row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The types.
    #[serde(default, rename = "types", skip_serializing_if = "Types::is_any")]
    pub types: Types,
    /// The time must be before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// The time must not be after this, the newest at the decision: later rows do not match. A row
    /// without a time matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The row must have this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Hashed>,
    /// The row must be of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Hashed>,
}

/// Types of rows. A row without a type never matches a named type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Types {
    /// Every type.
    #[default]
    Any,
    /// This type.
    Only(String),
    /// Every type except these.
    Except(Vec<String>),
}

impl Types {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

/// A hidden text: its HMAC-SHA-256 with a key of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashed {
    /// The id of the key.
    pub key: KeyId,
    /// The hash.
    pub hash: Digest,
}

/// Several hidden texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// The id of the key.
    pub key: KeyId,
    /// The hashes.
    pub hashes: Vec<Digest>,
}

impl Hashes {
    /// The most hashes in one line; more become several decisions.
    pub const MOST: usize = 10_000;
}

impl Decision {
    /// Returns the id of the key of its hashes; `None` if it has no hashes.
    pub fn key(&self) -> Option<&KeyId> {
        match &self.forget {
            Forget::Keys(keys) => Some(&keys.key),
            Forget::Rows(rows) => rows.tag.as_ref().or(rows.agent.as_ref()).map(|hashed| &hashed.key),
        }
    }
}
