//! What a database that serves early says of itself: the vector indexes that are still to be built, in a table of its own.
//! It changes its name with the database, it is in every backup, and it goes when they are built.

/// The schema with nothing else in it.
pub const SCHEMA: &str = "nexus_restore";

/// The table, a row a statement: `place` orders them, `schema` and `index` name the index that the statement makes, and are
/// null for what is said about one; `tablespace` is where it is to be, null where the database is.
pub const TABLE: &str = "nexus_restore.unbuilt";

/// Whether there is such a table.
pub const IS_THERE: &str = "SELECT pg_catalog.to_regclass('nexus_restore.unbuilt') IS NOT NULL";
