//! The table of vector indexes that a database that serves early must still build. It stays in the
//! database when that is renamed, and is in every backup. It is dropped when the indexes are built.

/// The schema, which contains nothing else.
pub const SCHEMA: &str = "nexus_restore";

/// The table, one row per statement. `place` orders them. `schema` and `index` name the index that
/// the statement creates, and are null for other statements about an index. `tablespace` is that of
/// the index, null for the database's.
pub const TABLE: &str = "nexus_restore.unbuilt";

/// The query for whether the table exists, in a schema where only superusers and the session's own
/// role can put one: its statements are carried out.
pub const IS_THERE: &str = "\
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
  WHERE n.nspname = 'nexus_restore' AND c.relname = 'unbuilt' AND c.relkind = 'r' AND NOT EXISTS \
    (SELECT FROM pg_catalog.pg_roles o WHERE o.oid IN (c.relowner, n.nspowner) AND NOT o.rolsuper AND o.rolname <> current_user))";
