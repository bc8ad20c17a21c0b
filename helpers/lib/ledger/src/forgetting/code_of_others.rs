//! Code of roles that are not superusers, which deleting a row would run: triggers, rules, what an
//! UPDATE evaluates, and what the planner evaluates for any statement.
//!
//! NEXUS works as a superuser, so that code would run as a superuser. PostgreSQL runs its own
//! referential actions as the owner of the table, but not work that it defers to the commit: a
//! cursor WITH HOLD that a trigger declares runs then as the session's user (seen with 18), and
//! before 18 AFTER triggers run as that user too. `SET ROLE` does not help: the code resets it. So
//! NEXUS deletes nothing where that would run such code.

use std::collections::BTreeSet;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::blocking::Control;

use crate::forgetting::Table;
use crate::forgetting::references::{Fate, ForeignKey, OnReference, foreign_keys};

/// How to treat code of roles that are not superusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOfOthers {
    /// Never run it: delete nothing.
    Refused,
    /// Run it: the database was just restored, and the restore has run its code.
    Trusted,
}

/// The operation on rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Delete,
    Update,
}

/// SQL for whether a role could run its code here by itself: a superuser, or the session's own
/// role.
fn is_trusted(role: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = {role} AND (s.rolsuper OR s.rolname = current_user))"
    )
}

/// SQL for a table and its partitions.
pub(super) fn parts(table: &str) -> String {
    format!("SELECT {table}::oid UNION SELECT p.relid::oid FROM pg_catalog.pg_partition_tree({table}) p")
}

/// SQL for a table and all tables that inherit from it, its partitions among them.
fn family(table: &str) -> String {
    format!(
        "WITH RECURSIVE family(oid) AS (SELECT {table}::oid \
           UNION SELECT h.inhrelid FROM family JOIN pg_catalog.pg_inherits h ON h.inhparent = family.oid) \
         SELECT oid FROM family"
    )
}

/// SQL for a text that names code which `event` runs on rows of `table`; NULL if there is none.
pub(super) fn code(table: &str, event: Event) -> String {
    // An update that changes a partition key moves the row: the server deletes and inserts it.
    let (fires, kind) = match event {
        Event::Delete => ("t.tgtype & 8 <> 0", '4'),
        Event::Update => {
            ("(t.tgtype & 16 <> 0 OR t.tgtype & 12 <> 0 AND (o.relkind = 'p' OR o.relispartition))", '2')
        }
    };
    let parts = parts(table);
    let (owner, function, grantee) =
        (is_trusted("o.relowner"), is_trusted("f.proowner"), is_trusted("a.grantee"));
    let others = |catalog: &str, oid: &str| format!("(NOT {owner} OR {})", uses_others(catalog, oid, "0"));
    let mut each = vec![
        // A role with the TRIGGER privilege on a superuser's table chooses the conditions of its
        // triggers.
        format!(
            "SELECT 'trigger', t.tgname, o.oid FROM pg_catalog.pg_trigger t \
             JOIN pg_catalog.pg_class o ON o.oid = t.tgrelid JOIN pg_catalog.pg_proc f ON f.oid = t.tgfoid \
             WHERE o.oid IN ({parts}) AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND {fires} \
             AND (NOT {owner} OR NOT {function} OR t.tgqual IS NOT NULL AND (EXISTS \
               (SELECT FROM pg_catalog.aclexplode(o.relacl) a WHERE a.privilege_type = 'TRIGGER' AND NOT {grantee}) OR {}))",
            uses_others("pg_trigger", "t.oid", "0")
        ),
        format!(
            "SELECT 'rule', r.rulename, o.oid FROM pg_catalog.pg_rewrite r \
             JOIN pg_catalog.pg_class o ON o.oid = r.ev_class \
             WHERE o.oid IN ({parts}) AND r.ev_enabled <> 'D' AND r.ev_type = '{kind}' AND {}",
            others("pg_rewrite", "r.oid")
        ),
    ];
    if event == Event::Update {
        each.extend([
            format!(
                "SELECT 'constraint', k.conname, o.oid FROM pg_catalog.pg_constraint k \
                 JOIN pg_catalog.pg_class o ON o.oid = k.conrelid \
                 WHERE o.oid IN ({parts}) AND k.contype = 'c' AND {}",
                others("pg_constraint", "k.oid")
            ),
            format!(
                "SELECT 'index', n.relname, o.oid FROM pg_catalog.pg_index i \
                 JOIN pg_catalog.pg_class n ON n.oid = i.indexrelid JOIN pg_catalog.pg_class o ON o.oid = i.indrelid \
                 WHERE o.oid IN ({parts}) AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND {}",
                others("pg_class", "n.oid")
            ),
            // Which of both depends on what the expression uses differs between versions.
            format!(
                "SELECT 'generated column', g.attname, o.oid FROM pg_catalog.pg_attribute g \
                 JOIN pg_catalog.pg_class o ON o.oid = g.attrelid \
                 JOIN pg_catalog.pg_attrdef e ON e.adrelid = g.attrelid AND e.adnum = g.attnum \
                 WHERE o.oid IN ({parts}) AND g.attgenerated <> '' AND ({} OR {})",
                others("pg_attrdef", "e.oid"),
                uses_others("pg_class", "o.oid", "g.attnum")
            ),
        ]);
    }
    named(&each.join(" UNION ALL "))
}

/// SQL for a text that names a column among `which` whose type belongs to a role that is not a
/// superuser; NULL if there is none. Such a role may create casts of the type, which a comparison
/// calls.
pub(super) fn types(table: &str, which: &str) -> String {
    named(&format!(
        "SELECT 'type of column', a.attname, a.attrelid FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
         WHERE a.attrelid = {table} AND a.attnum > 0 AND NOT a.attisdropped AND {which} AND NOT {}",
        is_trusted("y.typowner")
    ))
}

/// SQL for a text that names a column of `table` or of its partitions whose type belongs to a role
/// that is not a superuser; NULL if there is none.
pub(super) fn types_of_parts(table: &str) -> String {
    named(&format!(
        "SELECT 'type of column', a.attname, a.attrelid FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
         WHERE a.attrelid IN ({}) AND a.attnum > 0 AND NOT a.attisdropped AND NOT {}",
        parts(table),
        is_trusted("y.typowner")
    ))
}

/// SQL for a text that names an expression with code of a role that is not a superuser, which the
/// planner may evaluate for any statement on `table`, even if that is empty; NULL if there is none.
/// It calls an immutable function of constants at once, as the session's user, and the function's
/// owner can replace it.
pub(super) fn expressions(table: &str) -> String {
    let parts = parts(table);
    let those = format!("o.oid IN ({parts})");
    named(&format!(
        "SELECT 'index', n.relname, o.oid FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class n ON n.oid = i.indexrelid JOIN pg_catalog.pg_class o ON o.oid = i.indrelid \
         WHERE {those} AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND {} \
         UNION ALL SELECT 'statistics', s.stxname, o.oid FROM pg_catalog.pg_statistic_ext s \
         JOIN pg_catalog.pg_class o ON o.oid = s.stxrelid WHERE {those} AND s.stxexprs IS NOT NULL AND {} \
         UNION ALL SELECT 'partition key', o.relname, o.oid FROM pg_catalog.pg_partitioned_table p \
         JOIN pg_catalog.pg_class o ON o.oid = p.partrelid WHERE o.oid IN ({parts} \
           UNION SELECT a.relid::oid FROM pg_catalog.pg_partition_ancestors({table}) a) \
         AND p.partexprs IS NOT NULL AND {} \
         UNION ALL SELECT 'constraint', k.conname, o.oid FROM pg_catalog.pg_constraint k \
         JOIN pg_catalog.pg_class o ON o.oid = k.conrelid WHERE {those} AND k.contype = 'c' AND {}",
        uses_others("pg_class", "n.oid", "0"),
        uses_others("pg_statistic_ext", "s.oid", "0"),
        uses_others("pg_class", "o.oid", "0"),
        uses_others("pg_constraint", "k.oid", "0"),
    ))
}

/// SQL for whether this object uses a function, operator or type of a role that is not a superuser.
/// PostgreSQL records what an expression uses, except what initdb created.
fn uses_others(catalog: &str, oid: &str, column: &str) -> String {
    let used = |catalog: &str, owner: &str| {
        format!(
            "d.refclassid = 'pg_catalog.{catalog}'::pg_catalog.regclass AND EXISTS (SELECT FROM pg_catalog.{catalog} u \
             WHERE u.oid = d.refobjid AND NOT {})",
            is_trusted(&format!("u.{owner}"))
        )
    };
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass \
         AND d.objid = {oid} AND d.objsubid = {column} AND ({} OR {} OR {}))",
        used("pg_proc", "proowner"),
        used("pg_operator", "oprowner"),
        used("pg_type", "typowner")
    )
}

/// SQL for a text that names a default that ON DELETE SET DEFAULT evaluates; NULL if there is none.
pub(super) fn defaults(table: &str, which: &str) -> String {
    named(&format!(
        "SELECT 'default of column', a.attname, o.oid FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class o ON o.oid = a.attrelid \
         JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum \
         WHERE o.oid = {table} AND {which} AND (NOT {} OR {})",
        is_trusted("o.relowner"),
        uses_others("pg_attrdef", "e.oid", "0")
    ))
}

/// SQL for the first row of kind, name and table, as one text.
fn named(rows: &str) -> String {
    format!(
        "(SELECT x.kind || ' ' || pg_catalog.quote_ident(x.name) || ' of ' || x.relid::pg_catalog.regclass::text \
         FROM ({rows}) x(kind, name, relid) ORDER BY 1 LIMIT 1)"
    )
}

/// SQL for the OIDs of the schemas of a table and its partitions that belong to roles that are not
/// superusers. Such a role can rename its schema in spite of any lock on the tables in it.
pub(super) fn schemas_of_others(table: &str) -> String {
    format!(
        "SELECT DISTINCT n.oid FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace \
         WHERE o.oid IN ({}) AND NOT {} ORDER BY 1",
        parts(table),
        // The usual owner of schema public stands for the owner of the database.
        is_trusted(
            "(CASE pg_catalog.pg_get_userbyid(n.nspowner) WHEN 'pg_database_owner' THEN \
               (SELECT b.datdba FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()) \
             ELSE n.nspowner END)"
        )
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
        "(SELECT o.oid::pg_catalog.regclass::text || ' belongs to role ' || pg_catalog.pg_get_userbyid(o.relowner) \
         FROM pg_catalog.pg_class o WHERE o.oid IN ({}) AND NOT {} ORDER BY 1 LIMIT 1)",
        family(table),
        is_trusted("o.relowner")
    )
}

/// Locks the tables that deleting rows of `table` reaches, and refuses to run code of others there.
/// Runs in a transaction: until it ends, no session can add such code or a foreign key, or put
/// another table in the place of one. Returns the foreign keys. The inner error is an error of the
/// server.
///
/// # Errors
/// Data (65) with the name of the code; errors of the server.
pub(super) fn hold_still(
    session: &Control,
    table: &Table,
    on: OnReference,
) -> Result<std::result::Result<Vec<ForeignKey>, tokio_postgres::Error>> {
    if table.code_of_others() == CodeOfOthers::Trusted {
        return foreign_keys(session, table).map(Ok);
    }
    let mut keys = Vec::new();
    let sql = "SELECT pg_catalog.current_setting('is_superuser') = 'on'";
    let is_superuser: bool = session.row("looking at the session's role", sql, &[])?.get(0);
    let mut done = BTreeSet::new();
    let mut next = BTreeSet::from([format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", table.qualified())]);
    while !next.is_empty() {
        // SELECT before LOCK: once the schemas are locked, their tables keep their names.
        let locks: Vec<&str> = next.iter().rev().map(String::as_str).collect();
        if let Err(error) = session.try_run(&locks.join("; "))? {
            return Ok(Err(error));
        }
        done.append(&mut next);
        keys = foreign_keys(session, table)?;
        next =
            keys.iter().flat_map(|key| key.locks(is_superuser)).filter(|lock| !done.contains(lock)).collect();
    }
    refuse(session, table, &keys, on).map(|()| Ok(keys))
}

/// Refuses if deleting rows of `table` would run such code, there or in tables that `keys` reach.
///
/// # Errors
/// Data (65) with the name of the code; errors of the server.
fn refuse(session: &Control, table: &Table, keys: &[ForeignKey], on: OnReference) -> Result<()> {
    let oid = table.oid().to_string();
    let sql = format!("SELECT coalesce({}, {})", code(&oid, Event::Delete), expressions(&oid));
    let own: Option<String> = session.row("looking for triggers of other roles", &sql, &[])?.get(0);
    match own.or_else(|| run_by(table.parts(), keys, on)) {
        None => Ok(()),
        Some(code) => Err(Failure::new(Exit::Data, format!("deleting rows of {table}"))
            .because(format!(
                "that would run code of another role, as a superuser: {code}; nothing was deleted"
            ))
            .advise(
                "Drop it; or, if you trust it, give table and function to a superuser (ALTER TABLE … OWNER TO, ALTER FUNCTION \
                 … OWNER TO)",
            )),
    }
}

/// Returns code that runs in tables that `keys` reach when rows of a table with these `parts` are
/// deleted.
fn run_by(parts: &[u32], keys: &[ForeignKey], on: OnReference) -> Option<String> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![(parts, Event::Delete)];
    while let Some((parts, event)) = pending.pop() {
        for (number, key) in
            keys.iter().enumerate().filter(|(_, key)| parts.iter().any(|oid| key.refers_to(*oid)))
        {
            let (event, code) = match (event, key.fate(on)) {
                // The server still looks for rows that refer.
                (Event::Update, _) if !key.follows_updates && key.on_read.is_none() => continue,
                (Event::Delete, Fate::Forbids) if key.on_read.is_none() => continue,
                (Event::Delete, Fate::Forbids | Fate::Deleted) => (Event::Delete, &key.on_delete),
                (Event::Update, _) | (Event::Delete, Fate::SetToNull | Fate::Updated) => {
                    (Event::Update, &key.on_update)
                }
            };
            if let Some(code) = key.on_read.as_ref().or(code.as_ref()) {
                return Some(code.clone());
            }
            // An update can move a row to another partition: the server deletes it in the former one.
            let moves = event == Event::Update && key.is_partitioned;
            for event in [event].into_iter().chain(moves.then_some(Event::Delete)) {
                if reached.insert((number, event)) {
                    pending.push((&key.parts, event));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forgetting::references::tests::key;

    /// Returns `key` from table `from` to table `to`.
    fn link(action: char, from: u32, to: u32) -> ForeignKey {
        ForeignKey { parts: vec![from], referred: vec![to], ..key(action, true) }
    }

    #[test]
    fn code_counts_in_every_table_that_a_deletion_reaches() {
        use OnReference::{Cascade, SetNull, Stop};
        let trigger = || Some("trigger".to_owned());
        let runs = |keys: &[ForeignKey], on| run_by(&[1], keys, on).is_some();
        let deletes = |action| ForeignKey { on_delete: trigger(), ..link(action, 2, 1) };
        let updates = |action| ForeignKey { on_update: trigger(), ..link(action, 2, 1) };
        for on in [Stop, SetNull, Cascade] {
            assert!(runs(&[deletes('c')], on) && !runs(&[updates('c')], on));
            assert!(runs(&[updates('n')], on) && !runs(&[deletes('n')], on));
            assert!(runs(&[updates('d')], on));
            assert_eq!(runs(&[deletes('a')], on), on == Cascade);
            assert_eq!(runs(&[updates('r')], on), on == SetNull);
            assert!(runs(&[ForeignKey { on_read: trigger(), ..link('a', 2, 1) }], on));
        }
        // At the second level: only if the first rows are deleted, or if they change and ON UPDATE
        // applies.
        let second = ForeignKey { on_delete: trigger(), ..link('c', 3, 2) };
        assert!(runs(&[link('c', 2, 1), second.clone()], Stop));
        assert!(!runs(&[link('n', 2, 1), second.clone()], Stop));
        assert!(!runs(&[link('c', 4, 1), second], Stop));
        let follows = ForeignKey { on_update: trigger(), follows_updates: true, ..link('a', 3, 2) };
        assert!(runs(&[link('n', 2, 1), follows], Stop));
        // Even without ON UPDATE, the server reads the table for rows that refer to a changed one.
        let read = ForeignKey { on_read: trigger(), ..link('a', 3, 2) };
        assert!(runs(&[link('n', 2, 1), read], Stop));
        // A row that moves to another partition is deleted in its own, so keys to that one apply.
        let moved = ForeignKey { is_partitioned: true, ..link('n', 2, 1) };
        assert!(runs(&[moved, ForeignKey { on_delete: trigger(), ..link('c', 3, 2) }], Stop));
        // A cycle of keys ends.
        assert!(!runs(&[link('c', 2, 1), link('c', 2, 2)], Stop));
    }
}
