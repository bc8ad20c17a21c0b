//! Tables that a superuser may read by name. Reading a view, or a table with an index on an
//! expression, calls functions of its owner.

use crate::quote;

/// Returns the query for whether the table exists, in a schema where only superusers and the
/// session's own role can put one.
pub fn is_there(schema: &str, table: &str) -> String {
    format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles o \
         WHERE o.oid IN (c.relowner, n.nspowner) AND NOT o.rolsuper AND o.rolname <> session_user))",
        quote::literal(schema),
        quote::literal(table)
    )
}
