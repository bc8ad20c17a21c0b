//! The table of vector indexes that a database that serves early must still build. It stays in the
//! database when that is renamed, and is in every backup. It is dropped when the indexes are built.

/// The schema, which contains nothing else.
pub const SCHEMA: &str = "nexus_restore";

/// The table, one row per statement. `place` orders them. `schema` and `index` name the index that
/// the statement creates, and are null for other statements about an index. `tablespace` is that of
/// the index, null for the database's.
pub const TABLE: &str = "nexus_restore.unbuilt";

/// The query for whether the table exists.
pub const IS_THERE: &str = "SELECT pg_catalog.to_regclass('nexus_restore.unbuilt') IS NOT NULL";
