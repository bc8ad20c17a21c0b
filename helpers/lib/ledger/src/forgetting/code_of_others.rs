//! Code of roles that are not superusers, which deleting a row could run.
//!
//! NEXUS works as a superuser, so that code would run as a superuser. PostgreSQL runs its own
//! referential actions as the owner of the table, but not work that it defers to the commit: a
//! cursor WITH HOLD that a trigger declares runs then as the session's user (seen with 18), and
//! before 18 AFTER triggers run as that user too. `SET ROLE` does not help: the code resets it.
//!
//! A list of what may run code would never be complete. So NEXUS deletes nothing unless each table
//! that the server reads or changes then is known to run none: a table of a superuser uses
//! functions, operators and types of superusers alone, and a table of another role has nothing but
//! columns, keys, indexes and constraints whose expressions are simple.

use std::collections::BTreeSet;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

use crate::forgetting::Table;
use crate::forgetting::references::{ForeignKey, foreign_keys};
use crate::forgetting::touched::{code_of_others, touched};

/// How to treat code of roles that are not superusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOfOthers {
    /// Never run it: delete nothing.
    Refused,
    /// Run it: the database was just restored, and the restore has run its code.
    Trusted,
}

/// SQL for whether a role could run its code here by itself: a superuser, or the session's own
/// role.
pub(super) fn is_trusted(role: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = {role} AND (s.rolsuper OR s.rolname = session_user))"
    )
}

/// SQL for the owner of the schema `n`. The usual owner of schema public stands for the owner of the
/// database.
const OWNER_OF_SCHEMA: &str = "(CASE pg_catalog.pg_get_userbyid(n.nspowner) WHEN 'pg_database_owner' THEN \
       (SELECT b.datdba FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()) \
     ELSE n.nspowner END)";

/// SQL for whether the schema `n` belongs to a superuser. The owner of a schema can rename it and
/// put another one in its place, so what is looked up there by name may be anything.
pub fn is_schema_trusted() -> String {
    is_trusted(OWNER_OF_SCHEMA)
}

/// SQL for a table and its partitions.
pub(super) fn parts(table: &str) -> String {
    format!("SELECT {table}::oid UNION SELECT p.relid::oid FROM pg_catalog.pg_partition_tree({table}) p")
}

/// SQL for a text that names a column whose type, or its schema, belongs to a role that is not a
/// superuser; NULL if there is none. Such a role may create casts of the type, which a comparison
/// calls, or put another type in its place.
pub(super) fn type_of_another(table: &str) -> String {
    format!(
        "(SELECT 'type of column ' || pg_catalog.quote_ident(a.attname) || ' of ' || a.attrelid::pg_catalog.regclass::text \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
         JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace \
         WHERE a.attrelid = {table} AND a.attnum > 0 AND NOT a.attisdropped AND NOT ({} AND {}) ORDER BY 1 LIMIT 1)",
        is_trusted("y.typowner"),
        is_schema_trusted()
    )
}

/// SQL for the OIDs of the schemas of a table and its partitions that belong to roles that are not
/// superusers. Such a role can rename its schema in spite of any lock on the tables in it.
fn schemas_of_others(table: &str) -> String {
    format!(
        "SELECT DISTINCT n.oid FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace \
         WHERE o.oid IN ({}) AND NOT {} ORDER BY 1",
        parts(table),
        is_schema_trusted()
    )
}

/// SQL for a text that names a schema among [`schemas_of_others`].
pub(super) fn schema_of_another(table: &str) -> String {
    format!(
        "(SELECT 'schema ' || n.nspname || ' belongs to role ' || pg_catalog.pg_get_userbyid(n.nspowner) \
         FROM pg_catalog.pg_namespace n WHERE n.oid IN ({}) ORDER BY 1 LIMIT 1)",
        schemas_of_others(table)
    )
}

/// SQL for a text that names a table or one that inherits from it that belongs to a role that is not
/// a superuser.
pub(super) fn owned_by_another(table: &str) -> String {
    format!(
        "(WITH RECURSIVE family(oid) AS (SELECT {table}::oid \
           UNION SELECT h.inhrelid FROM family JOIN pg_catalog.pg_inherits h ON h.inhparent = family.oid) \
         SELECT o.oid::pg_catalog.regclass::text || ' belongs to role ' || pg_catalog.pg_get_userbyid(o.relowner) \
         FROM pg_catalog.pg_class o WHERE o.oid IN (SELECT oid FROM family) AND NOT {} ORDER BY 1 LIMIT 1)",
        is_trusted("o.relowner")
    )
}

/// Returns the statements that keep others from adding code to the tables that deleting rows
/// touches, or another table in the place of one. The owner of a table could add a partition,
/// statistics, or an index (CONCURRENTLY) in spite of the weaker lock, and its schema can be renamed
/// in spite of any lock on the table. Only superusers may lock a row of a catalog.
fn locks(session: &Control, table: &Table) -> Result<BTreeSet<String>> {
    let sql = format!(
        "WITH RECURSIVE {} SELECT n.nspname::text, c.relname::text, NOT {}, \
         CASE WHEN pg_catalog.current_setting('is_superuser') = 'on' THEN ARRAY({}) ELSE '{{}}' END, c.oid IN (SELECT oid FROM reached) \
         FROM touched t JOIN pg_catalog.pg_class c ON c.oid = t.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p')",
        touched(table),
        is_trusted("c.relowner"),
        schemas_of_others("c.oid"),
    );
    let mut locks = BTreeSet::new();
    for row in session.rows("listing the tables that deleting touches", &sql, &[])? {
        let (is_of_another, is_reached) = (row.get(2), row.get(4));
        let mode = if is_of_another { "SHARE UPDATE EXCLUSIVE" } else { "ROW EXCLUSIVE" };
        if is_of_another || is_reached {
            locks.insert(format!(
                "LOCK TABLE ONLY {} IN {mode} MODE",
                quote::qualified(row.get(0), row.get(1))
            ));
        }
        locks.extend(
            row.get::<_, Vec<u32>>(3)
                .into_iter()
                .map(|schema| format!("SELECT FROM pg_catalog.pg_namespace WHERE oid = {schema} FOR SHARE")),
        );
    }
    Ok(locks)
}

/// Locks the tables that deleting rows of `table` touches, and refuses unless they are known to run
/// no code of others. Runs in a transaction: until it ends, no session can add such code or a
/// foreign key, or put another table in the place of one. Returns the foreign keys. The inner error
/// is an error of the server.
///
/// # Errors
/// Data (65) with the name of what could run code; errors of the server.
pub(super) fn hold_still(
    session: &Control,
    table: &Table,
) -> Result<std::result::Result<Vec<ForeignKey>, tokio_postgres::Error>> {
    if table.code_of_others() == CodeOfOthers::Trusted {
        return foreign_keys(session, table).map(Ok);
    }
    let mut held = BTreeSet::new();
    loop {
        let next: BTreeSet<String> = locks(session, table)?.difference(&held).cloned().collect();
        if next.is_empty() {
            break;
        }
        // SELECT before LOCK: once the schemas are locked, their tables keep their names.
        let statements: Vec<&str> = next.iter().rev().map(String::as_str).collect();
        if let Err(error) = session.try_run(&statements.join("; "))? {
            return Ok(Err(error));
        }
        held.extend(next);
    }
    refuse(session, table)?;
    foreign_keys(session, table).map(Ok)
}

/// Refuses a table unless deleting its rows is known to run no code of others. Until the tables are
/// locked, this protects only against code that was there before.
///
/// # Errors
/// Those of [`hold_still`].
pub(super) fn refuse(session: &Control, table: &Table) -> Result<()> {
    let found = session.row("looking for code of other roles", &code_of_others(table), &[])?;
    match found.get::<_, Option<String>>(0) {
        None => Ok(()),
        Some(code) => Err(Failure::new(Exit::Data, format!("deleting rows of {table}"))
            .because(format!("that could run code of another role, as a superuser: {code}; nothing was deleted"))
            .advise(
                "Drop it; a trigger of your own also counts while another role has the privilege TRIGGER on that table (REVOKE it). \
                 Only if you trust all code in that table, and in the functions and types that it uses: give them to a \
                 superuser (ALTER TABLE, ALTER FUNCTION, ALTER TYPE … OWNER TO)",
            )),
    }
}
