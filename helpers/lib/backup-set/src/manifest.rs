//! manifest.json, which describes the contents of a set, and with which a restored copy must agree.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use age::Identity;
use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::human_bytes;
use nexus_cli::text::printable;
use nexus_digest::Digest;
use nexus_postgres::objects::Objects;
use nexus_postgres::quote::ascii_identifier;
use serde::{Deserialize, Serialize};

use crate::directory::SetEntry;
use crate::name::SetName;
use crate::{MANIFEST, open};

/// The format that this code writes and reads.
pub const FORMAT: u32 = 1;

/// The maximum size of a manifest in bytes.
const LARGEST: u64 = 256 << 20;

/// The contents of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The number of the set.
    pub sequence: u64,
    /// The time of the snapshot.
    pub taken: Timestamp,
    /// The version of NEXUS that wrote it.
    pub nexus_version: String,
    /// The server and the database.
    pub postgres: Postgres,
    /// The tables whose rows are in the set as COPY streams.
    pub tables: Vec<Table>,
    /// Sequences, by quoted qualified name.
    pub sequences: BTreeMap<String, SequenceRange>,
    /// Schemas, views, policies, functions, roles and other objects; `None` in older sets, which do
    /// not list them.
    #[serde(default)]
    pub objects: Option<Objects>,
    /// Parts of the server that are not in the set; `None` in older sets, which do not list them.
    #[serde(default)]
    pub left_out: Option<LeftOut>,
    /// Objects whose restore needs a search_path. A restore sets none by itself.
    #[serde(default)]
    pub bare_names: Vec<BareNames>,
    /// The large objects; `None` if there are none.
    pub large_objects: Option<LargeObjects>,
    /// The snapshot of Redis; `None` if the set has none.
    pub redis: Option<Redis>,
    /// Why the set lacks the snapshot of Redis although it was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis_missing: Option<String>,
    /// The ledger of what was forgotten; `None` if there is none yet.
    #[serde(default)]
    pub ledger: Option<Ledger>,
    /// The age recipients that can read the set.
    pub recipients: Vec<String>,
    /// The milliseconds that each step took.
    pub timings: BTreeMap<String, u64>,
}

/// Parts of the server that no set of this database contains. Configuration files are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Other databases: name and bytes, if nexus-backup may read the size.
    pub databases: BTreeMap<String, Option<u64>>,
    /// Settings made by ALTER SYSTEM: name and value.
    pub settings: BTreeMap<String, String>,
    /// Roles that may log in, whose passwords are not in the set.
    pub passwords: Vec<String>,
}

impl LeftOut {
    /// Describes the databases and settings for people, if there are any.
    pub fn sentence(&self) -> Option<String> {
        let mut parts = Vec::new();
        let size = |bytes: &Option<u64>| bytes.map_or_else(String::new, |b| format!(" ({})", human_bytes(b)));
        let databases: Vec<_> =
            self.databases.iter().map(|(name, bytes)| format!("{name}{}", size(bytes))).collect();
        if !databases.is_empty() {
            parts.push(format!("the databases {}", databases.join(", ")));
        }
        if !self.settings.is_empty() {
            let names: Vec<_> = self.settings.keys().map(String::as_str).collect();
            parts.push(format!("what ALTER SYSTEM has set: {}", names.join(", ")));
        }
        (!parts.is_empty()).then(|| printable(&parts.join("; ")))
    }
}

/// A function that a restore calls and that names objects without their schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BareNames {
    /// The object that depends on it: "index public.later_slug", "constraint c on table
    /// public.people".
    pub object: String,
    /// The function: "public.slug(text)".
    pub function: String,
    /// The names.
    pub names: Vec<String>,
}

impl std::fmt::Display for BareNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.names.join(", ");
        f.write_str(&printable(&format!(
            "{} ({} names {names} without a schema)",
            self.object, self.function
        )))
    }
}

/// The server and the database at the time of the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgres {
    /// `server_version`.
    pub server_version: String,
    /// `server_version_num`, for instance 180006.
    pub server_version_num: u32,
    /// The name of the database.
    pub database: String,
    /// The properties for CREATE DATABASE.
    pub properties: DatabaseProperties,
    /// Extensions: name and version.
    pub extensions: BTreeMap<String, String>,
    /// The exported snapshot.
    pub snapshot: String,
}

/// The properties with which CREATE DATABASE and ALTER DATABASE make an equal database (catalog
/// pg_database). [`crate::database_sql`] writes the statements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseProperties {
    /// The name of the encoding.
    pub encoding: String,
    /// `c` libc, `i` ICU, `b` built in.
    pub locale_provider: String,
    /// LC_COLLATE.
    pub collate: String,
    /// LC_CTYPE.
    pub ctype: String,
    /// The locale of the provider, if it has one.
    pub locale: Option<String>,
    /// The ICU rules, if there are any.
    pub icu_rules: Option<String>,
    /// The owner.
    pub owner: String,
    /// The comment.
    pub comment: Option<String>,
    /// The connection limit, -1 for none.
    pub connection_limit: i32,
    /// The settings of ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET.
    pub settings: Vec<DatabaseSetting>,
    /// The tablespaces of its tables and indexes, except the database's own; `None` in older sets,
    /// which do not list them.
    #[serde(default)]
    pub tablespaces: Option<Vec<String>>,
    /// The privileges on the database.
    pub grants: Vec<Grant>,
}

/// A default setting of the database's sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSetting {
    /// The role to which it applies; `None` for all.
    pub role: Option<String>,
    /// The name of the setting.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A privilege on the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role that has it; `None` for PUBLIC.
    pub role: Option<String>,
    /// CONNECT, CREATE or TEMPORARY.
    pub privilege: String,
    /// Whether it has WITH GRANT OPTION.
    pub grantable: bool,
}

/// The rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The path in the set: `data/0001.copy.zst.age`.
    pub file: String,
    /// Schema.
    pub schema: String,
    /// Name.
    pub table: String,
    /// The columns in the order of the stream; empty if the table has none.
    pub columns: Vec<String>,
    /// COPY's format.
    pub format: CopyFormat,
    /// The reason for the text format, if it is text.
    pub text_because: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Bytes of the COPY stream.
    pub bytes: u64,
    /// The SHA-256 of the COPY stream. The same COPY from a restored copy must produce it.
    pub sha256: Digest,
}

/// COPY's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyFormat {
    /// `FORMAT binary`
    Binary,
    /// `FORMAT text`
    Text,
}

/// The state of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceState {
    /// `last_value`
    pub last_value: i64,
    /// `is_called`
    pub is_called: bool,
}

/// The state of a sequence before and after pg_dump read it, and in pg_dump's archive. Snapshots do
/// not include sequences (PostgreSQL manual, "Sequence Manipulation Functions"): while programs
/// insert, the archive may have any state between the two, and if the sequence restarts (CYCLE,
/// `setval`), any state at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRange {
    /// The state before pg_dump began.
    pub before: SequenceState,
    /// The state after pg_dump ended.
    pub after: SequenceState,
    /// The states that the archive sets. Usually one; several if the database contains a text that
    /// looks like the archive's statement. Empty in older sets, which do not record it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archived: Vec<SequenceState>,
}

impl SequenceRange {
    /// Returns whether a restored sequence in `state` agrees with the set.
    pub fn allows(&self, state: SequenceState) -> bool {
        if !self.archived.is_empty() {
            return self.archived.contains(&state);
        }
        let (low, high) = (self.before.last_value, self.after.last_value);
        state == self.before
            || state == self.after
            || (self.before != self.after && (low.min(high)..=low.max(high)).contains(&state.last_value))
    }
}

/// All large objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjects {
    /// The number of large objects.
    pub count: u64,
    /// SHA-256 of the text COPY of [`LARGE_OBJECT_QUERY`].
    pub sha256: Digest,
}

/// Returns the id, offset and SHA-256 of each MiB of every large object, in order.
pub const LARGE_OBJECT_QUERY: &str = "\
SELECT m.oid, chunk.start, encode(pg_catalog.sha256(pg_catalog.lo_get(m.oid, chunk.start, 1048576)), 'hex') \
FROM pg_catalog.pg_largeobject_metadata m \
LEFT JOIN LATERAL (SELECT max(pageno::bigint * 2048 + octet_length(data)) AS bytes \
  FROM pg_catalog.pg_largeobject p WHERE p.loid = m.oid) size ON true \
LEFT JOIN LATERAL pg_catalog.generate_series(0, size.bytes - 1, 1048576) chunk(start) ON true \
ORDER BY m.oid, chunk.start";

/// The snapshot of Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redis {
    /// `redis_version`
    pub version: String,
    /// Keys by database number.
    pub keys: BTreeMap<u32, u64>,
    /// Bytes of the RDB file.
    pub bytes: u64,
    /// SHA-256 of the RDB file.
    pub sha256: Digest,
}

/// The copy of the purge ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The number of lines before the snapshot was opened. The set lacks the rows that these lines
    /// record as done.
    pub settled: u64,
    /// The number of lines of the copy, which was taken after the snapshot was opened.
    pub lines: u64,
    /// SHA-256 of the copy.
    pub sha256: Digest,
}

impl Manifest {
    /// Reads and decrypts the manifest of the set in directory `set`.
    ///
    /// # Errors
    /// Permission (77) when no identity matches; Data (65) when it is damaged or of another format.
    pub fn read(set: &Path, identities: &[Box<dyn Identity>]) -> Result<Self> {
        let path = set.join(MANIFEST);
        Self::parse(open::open(&path, identities)?)
            .map_err(|failure| failure.while_doing(format!("reading {}", path.display())))
    }

    /// Like [`Manifest::read`], but refuses the manifest of another set, whose files may all be
    /// whole.
    ///
    /// # Errors
    /// Those of [`Manifest::read`]; Data (65) for the manifest of another set.
    pub fn of(set: &SetEntry, identities: &[Box<dyn Identity>]) -> Result<Self> {
        let manifest = Self::read(&set.path, identities)?;
        let name = SetName::new(manifest.sequence, manifest.taken);
        if name == set.name {
            return Ok(manifest);
        }
        Err(Failure::new(Exit::Data, format!("reading {}", set.path.join(MANIFEST).display()))
            .because(format!("it is the manifest of set {name}"))
            .advise("Use another set (nexus-restore list)"))
    }

    /// Parses a manifest.
    ///
    /// # Errors
    /// Data (65) when it is malformed or of another format.
    pub fn parse(json: impl Read) -> Result<Self> {
        let damaged = |why: String| {
            Failure::new(Exit::Data, "the manifest cannot be read")
                .because(why)
                .advise("The set is damaged, or a newer NEXUS wrote it")
        };
        let manifest: Self = serde_json::from_reader(std::io::BufReader::new(json.take(LARGEST)))
            .map_err(|e| damaged(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!(
                "format {} is not supported; this NEXUS reads {FORMAT}",
                manifest.format
            )));
        }
        if let Some(table) = manifest.tables.iter().find(|t| !crate::checksums::is_plain(&t.file)) {
            return Err(damaged(format!("it contains the file name {:?}", table.file)));
        }
        Ok(manifest)
    }

    /// Returns the bytes of all rows as COPY streams. The creator of the set chose this number; do
    /// not rely on it.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().fold(0, |sum, table| sum.saturating_add(table.bytes))
    }

    /// Returns the rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().fold(0, |sum, table| sum.saturating_add(table.rows))
    }
}

impl Table {
    /// Returns schema and name for people, such as `public.people`.
    pub fn label(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// Returns `"schema"."table"` in ASCII: sessions that copy use the database's encoding, not
    /// ours.
    pub fn qualified(&self) -> String {
        format!("{}.{}", ascii_identifier(&self.schema), ascii_identifier(&self.table))
    }

    /// Returns the column list with parentheses, or an empty text if there are no columns.
    pub fn column_list(&self) -> String {
        if self.columns.is_empty() {
            return String::new();
        }
        let names: Vec<_> = self.columns.iter().map(|c| ascii_identifier(c)).collect();
        format!(" ({})", names.join(", "))
    }

    /// Returns the statement that streams the rows out. On the restored copy it must produce the
    /// same bytes.
    pub fn copy_out(&self) -> String {
        format!("COPY {}{} TO STDOUT (FORMAT {})", self.qualified(), self.column_list(), self.format.as_str())
    }

    /// Returns the statement that loads the rows into `root`, an ancestor of this partition.
    pub fn copy_in_through(&self, root: &str) -> String {
        format!("COPY {root}{} FROM STDIN (FORMAT {})", self.column_list(), self.format.as_str())
    }

    /// Returns the statement that loads the rows. After TRUNCATE in the same transaction, FREEZE
    /// keeps their order and avoids a later rewrite.
    pub fn copy_in(&self) -> String {
        let format = self.format.as_str();
        format!("COPY {}{} FROM STDIN (FORMAT {format}, FREEZE)", self.qualified(), self.column_list())
    }
}

impl CopyFormat {
    /// Returns the value of COPY's option FORMAT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Text => "text",
        }
    }
}

/// Returns the settings of a session that copies, so that text and order do not depend on other
/// settings. `client_encoding` is that of the database, so that nothing is converted.
pub fn pin_session(encoding: &str) -> String {
    let encoding = nexus_postgres::quote::literal(encoding);
    format!(
        "SET search_path = ''; SET client_encoding = {encoding}; SET DateStyle = 'ISO, YMD'; \
         SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET extra_float_digits = 3; \
         SET bytea_output = 'hex'; SET xmloption = 'content'; SET lc_monetary = 'C'; \
         SET synchronize_seqscans = off; SET row_security = off; \
         SET client_connection_check_interval = '1s'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(last_value: i64, is_called: bool) -> SequenceState {
        SequenceState { last_value, is_called }
    }

    #[test]
    fn an_unchanged_sequence_must_be_restored_exactly() {
        let still = SequenceRange { before: state(7, true), after: state(7, true), archived: Vec::new() };
        assert!(still.allows(state(7, true)));
        assert!(!still.allows(state(7, false)));
        assert!(!still.allows(state(8, true)));
    }

    #[test]
    fn a_changing_sequence_may_have_any_state_in_its_range() {
        let moving = SequenceRange { before: state(7, true), after: state(9, true), archived: Vec::new() };
        assert!(moving.allows(state(8, true)));
        assert!(!moving.allows(state(10, true)));
    }

    #[test]
    fn a_restarted_sequence_must_have_the_state_of_the_archive() {
        let cycled = SequenceRange {
            before: state(900, true),
            after: state(5, true),
            archived: vec![state(950, true)],
        };
        assert!(cycled.allows(state(950, true)));
        assert!(!cycled.allows(state(900, true)) && !cycled.allows(state(7, true)));
    }

    #[test]
    fn databases_and_settings_in_no_set_are_named() {
        assert_eq!(LeftOut::default().sentence(), None);
        let left_out = LeftOut {
            databases: [("notes".to_owned(), Some(1 << 20)), ("secret".to_owned(), None)].into(),
            settings: [("work_mem".to_owned(), "33MB".to_owned())].into(),
            passwords: vec!["reporter".to_owned()],
        };
        let sentence = "the databases notes (1.00 MiB), secret; what ALTER SYSTEM has set: work_mem";
        assert_eq!(left_out.sentence().unwrap(), sentence);
    }

    #[test]
    fn a_manifest_of_another_format_is_refused() {
        assert!(Manifest::parse(&b"{\"format\": 2}"[..]).is_err());
        assert!(Manifest::parse(&b"not json"[..]).is_err());
    }
}
