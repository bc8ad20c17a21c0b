//! What a line of the ledger says: a decision to forget, or that one is done.

use jiff::Timestamp;
use nexus_digest::Digest;
use serde::{Deserialize, Serialize};

use super::key::KeyId;

/// What happened, when, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was written.
    pub at: Timestamp,
    /// By what: a rule, a person's words, a restore.
    pub by: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// The two kinds of lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Rows that are to be forgotten, now and in whatever is restored.
    Decision(Box<Decision>),
    /// A decision was carried out: its rows are gone, from the table and from its pages.
    Done(Done),
}

/// That a decision was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// MAC of the decision's line.
    pub of: Digest,
    /// Rows that went. After a run that was killed: those of the last run alone, or those that the decision had found.
    pub rows: u64,
}

/// Rows that are to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Where they are.
    pub table: TableColumns,
    /// Which they are.
    pub forget: Forget,
    /// MAC of the line this was taken over from, when two ledgers had gone different ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Digest>,
    /// Rows that were found, and gone at once: then the run that cleans up after it and says that it is done finds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<u64>,
    /// Whether a person agreed to it, however many rows it deletes. Otherwise the run that finishes it applies
    /// `NEXUS_PURGE_MAX_SHARE` again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub agreed: bool,
}

/// Where table, type, time and key live. Names as the catalog has them, not quoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableColumns {
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Column that names a row for ever: its primary key.
    pub key: String,
    /// Column whose age counts.
    pub time: String,
    /// Where the type is: `column`, or `column->>member` of a JSON column.
    #[serde(rename = "type")]
    pub kind: String,
    /// Column with the tags, an array of texts.
    pub tags: String,
    /// Column with the agent.
    pub agent: String,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forget {
    /// Those with these keys.
    Keys(Hashes),
    /// Those to which all of this applies.
    Rows(Rows),
}

/// Rows by what they are. What is not said applies to every row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Of these types.
    #[serde(default, rename = "types", skip_serializing_if = "Types::is_any")]
    pub types: Types,
    /// Whose time is before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Whose time is not after this: the newest that was there when it was decided. Later rows were not meant.
    /// A row without a time was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// With this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Hashed>,
    /// Of this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Hashed>,
}

/// Types of rows. One without a type is of no type that has a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Types {
    /// Every one.
    #[default]
    Any,
    /// This one.
    Only(String),
    /// Every one but these.
    Except(Vec<String>),
}

impl Types {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

/// A text that is not shown: its HMAC-SHA-256 with a key of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashed {
    /// Which key.
    pub key: KeyId,
    /// The hash.
    pub hash: Digest,
}

/// Several such texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// Which key.
    pub key: KeyId,
    /// The hashes.
    pub hashes: Vec<Digest>,
}

impl Hashes {
    /// The most of one line; more become several decisions.
    pub const MOST: usize = 10_000;
}

impl Decision {
    /// The key its hashes were made with; nothing when it has none.
    pub fn key(&self) -> Option<&KeyId> {
        match &self.forget {
            Forget::Keys(keys) => Some(&keys.key),
            Forget::Rows(rows) => rows.tag.as_ref().or(rows.agent.as_ref()).map(|hashed| &hashed.key),
        }
    }
}
