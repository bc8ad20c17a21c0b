//! The table of vector indexes that a database that serves early must still build. It stays in the
//! database when that is renamed, and is in every backup. It is dropped when the indexes are built.

use nexus_postgres::trusted;

/// The schema, which contains nothing else.
pub const SCHEMA: &str = "nexus_restore";

/// The table, one row per statement. `place` orders them. `schema` and `index` name the index that
/// the statement creates, and are null for other statements about an index. `tablespace` is that of
/// the index, null for the database's.
pub const TABLE: &str = "nexus_restore.unbuilt";

/// Returns the query for whether the table exists where only superusers and the session's own role
/// can put one: its statements are carried out.
pub fn is_there() -> String {
    trusted::is_there(SCHEMA, "unbuilt")
}
