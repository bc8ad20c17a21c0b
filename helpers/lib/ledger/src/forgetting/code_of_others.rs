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
//! columns, keys and plain indexes.

use std::collections::BTreeSet;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::blocking::Control;
use nexus_postgres::quote;

use crate::forgetting::Table;
use crate::forgetting::references::{ForeignKey, foreign_keys};

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
fn is_trusted(role: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = {role} AND (s.rolsuper OR s.rolname = current_user))"
    )
}

/// SQL for a table and its partitions.
pub(super) fn parts(table: &str) -> String {
    format!("SELECT {table}::oid UNION SELECT p.relid::oid FROM pg_catalog.pg_partition_tree({table}) p")
}

/// SQL for a text that names a column whose type belongs to a role that is not a superuser; NULL if
/// there is none. Such a role may create casts of the type, which a comparison calls.
pub(super) fn type_of_another(table: &str) -> String {
    format!(
        "(SELECT 'type of column ' || pg_catalog.quote_ident(a.attname) || ' of ' || a.attrelid::pg_catalog.regclass::text \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
         WHERE a.attrelid = {table} AND a.attnum > 0 AND NOT a.attisdropped AND NOT {} ORDER BY 1 LIMIT 1)",
        is_trusted("y.typowner")
    )
}

/// SQL for the OIDs of the schemas of a table and its partitions that belong to roles that are not
/// superusers. Such a role can rename its schema in spite of any lock on the tables in it.
fn schemas_of_others(table: &str) -> String {
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
        "(WITH RECURSIVE family(oid) AS (SELECT {table}::oid \
           UNION SELECT h.inhrelid FROM family JOIN pg_catalog.pg_inherits h ON h.inhparent = family.oid) \
         SELECT o.oid::pg_catalog.regclass::text || ' belongs to role ' || pg_catalog.pg_get_userbyid(o.relowner) \
         FROM pg_catalog.pg_class o WHERE o.oid IN (SELECT oid FROM family) AND NOT {} ORDER BY 1 LIMIT 1)",
        is_trusted("o.relowner")
    )
}

/// SQL for the table expressions `reached` and `touched`, for WITH RECURSIVE. Deleting rows of a
/// table may change rows of the tables that refer to it, directly or through others: those it
/// reaches. It touches also those that these refer to, since the server checks a changed row by all
/// its keys. Partitions and their parents count too.
fn touched(table: &Table) -> String {
    let relatives = "UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_tree(r.oid) \
        UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_ancestors(r.oid)";
    format!(
        "reached(oid) AS (SELECT {}::oid UNION SELECT more.oid FROM reached r, LATERAL \
           (SELECT f.conrelid FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.confrelid = r.oid {relatives}) more(oid)), \
         touched(oid) AS (SELECT oid FROM reached UNION SELECT more.oid FROM \
           (SELECT f.confrelid FROM reached t JOIN pg_catalog.pg_constraint f ON f.contype = 'f' AND f.conrelid = t.oid) r(oid), \
           LATERAL (SELECT r.oid {relatives}) more(oid))",
        table.oid()
    )
}

/// Returns the statements that keep others from adding code to the tables that deleting rows
/// touches, or another table in the place of one. The owner of a table could add a partition,
/// statistics, or an index (CONCURRENTLY) in spite of the weaker lock, and its schema can be renamed
/// in spite of any lock on the table. Only superusers may lock a row of a catalog.
fn locks(session: &Control, table: &Table) -> Result<BTreeSet<String>> {
    let sql = format!(
        "WITH RECURSIVE {} SELECT n.nspname::text, c.relname::text, NOT {}, \
         CASE WHEN pg_catalog.current_setting('is_superuser') = 'on' THEN ARRAY({}) ELSE '{{}}' END \
         FROM touched t JOIN pg_catalog.pg_class c ON c.oid = t.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND (c.oid IN (SELECT oid FROM reached) OR NOT {})",
        touched(table),
        is_trusted("c.relowner"),
        schemas_of_others("c.oid"),
        is_trusted("c.relowner"),
    );
    let mut locks = BTreeSet::new();
    for row in session.rows("listing the tables that deleting touches", &sql, &[])? {
        let mode = if row.get(2) { "SHARE UPDATE EXCLUSIVE" } else { "ROW EXCLUSIVE" };
        locks.insert(format!("LOCK TABLE ONLY {} IN {mode} MODE", quote::qualified(row.get(0), row.get(1))));
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
    let found = session.row("looking for code of other roles", &code_of_others(table), &[])?;
    match found.get::<_, Option<String>>(0) {
        None => foreign_keys(session, table).map(Ok),
        Some(code) => Err(Failure::new(Exit::Data, format!("deleting rows of {table}"))
            .because(format!("that could run code of another role, as a superuser: {code}; nothing was deleted"))
            .advise(
                "Drop it; or, if you trust it, give the table, and the functions and types that it uses, to a superuser (ALTER \
                 TABLE, ALTER FUNCTION, ALTER TYPE … OWNER TO)",
            )),
    }
}

/// SQL for a text that names something that could run code of a role that is not a superuser when
/// rows of `table` are deleted; NULL if there is nothing.
///
/// `own` is what belongs to the touched tables, and whether it is known to run no code of its own.
/// `uses` is what that uses, directly or through others. PostgreSQL records that for expressions,
/// except what initdb created, but not for function bodies that are texts.
fn code_of_others(table: &Table) -> String {
    let class = |name: &str| format!("'pg_catalog.{name}'::pg_catalog.regclass::oid");
    let belongs = |catalog: &str, table: &str, is_plain: &str| {
        format!(
            "SELECT t.oid, {}, x.oid, 0, {is_plain} FROM touched t JOIN pg_catalog.{catalog} x ON x.{table} = t.oid",
            class(catalog)
        )
    };
    let owned_by_another = |catalog: &str, owner: &str| {
        format!(
            "u.classid = {} AND EXISTS (SELECT FROM pg_catalog.{catalog} o WHERE o.oid = u.objid AND NOT {})",
            class(catalog),
            is_trusted(&format!("o.{owner}"))
        )
    };
    let own = [
        belongs("pg_class", "oid", "x.relkind = 'r' AND NOT x.relispartition"),
        // ON DELETE and ON UPDATE SET DEFAULT evaluate an expression.
        belongs(
            "pg_constraint",
            "conrelid",
            "x.contype IN ('p', 'u', 'n') OR x.contype = 'f' AND 'd' NOT IN (x.confdeltype, x.confupdtype)",
        ),
        belongs("pg_trigger", "tgrelid", "x.tgisinternal"),
        belongs("pg_rewrite", "ev_class", "false"),
        belongs("pg_policy", "polrelid", "false"),
        belongs("pg_statistic_ext", "stxrelid", "x.stxexprs IS NULL"),
        // A generated column is among the columns below.
        belongs("pg_attrdef", "adrelid", "true"),
        format!(
            "SELECT t.oid, {}, i.indexrelid, 0, i.indexprs IS NULL AND i.indpred IS NULL \
             FROM touched t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid",
            class("pg_class")
        ),
        format!(
            "SELECT t.oid, {}, t.oid, a.attnum::integer, a.attgenerated = '' \
             FROM touched t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE a.attgenerated <> '' \
             OR EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = t.oid AND a.attnum = ANY (i.indkey)) \
             OR EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND \
               (f.conrelid = t.oid AND a.attnum = ANY (f.conkey) OR f.confrelid = t.oid AND a.attnum = ANY (f.confkey)))",
            class("pg_class")
        ),
        // Kinds of objects that this version of NEXUS does not know.
        format!(
            "SELECT t.oid, d.classid, d.objid, 0, false FROM touched t JOIN pg_catalog.pg_depend d \
             ON d.refclassid = {} AND d.refobjid = t.oid WHERE d.classid NOT IN ({})",
            class("pg_class"),
            [
                "pg_class",
                "pg_constraint",
                "pg_trigger",
                "pg_rewrite",
                "pg_policy",
                "pg_statistic_ext",
                "pg_attrdef",
                "pg_type",
                "pg_proc",
                "pg_publication_rel",
            ]
            .map(class)
            .join(", ")
        ),
    ];
    let others = [
        owned_by_another("pg_proc", "proowner"),
        owned_by_another("pg_operator", "oprowner"),
        owned_by_another("pg_opclass", "opcowner"),
        owned_by_another("pg_opfamily", "opfowner"),
        owned_by_another("pg_type", "typowner"),
    ];
    format!(
        "WITH RECURSIVE {touched}, \
         own(relid, classid, objid, objsubid, is_plain) AS ({own}), \
         uses(root, rootid, rootsub, classid, objid) AS ( \
           SELECT o.classid, o.objid, o.objsubid, d.refclassid, d.refobjid FROM own o JOIN pg_catalog.pg_depend d \
             ON d.classid = o.classid AND d.objid = o.objid AND d.objsubid = o.objsubid WHERE d.refclassid <> {class} \
           UNION SELECT u.root, u.rootid, u.rootsub, more.classid, more.objid FROM uses u, LATERAL ( \
             SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = u.classid AND d.objid = u.objid \
               AND (d.refclassid <> {class} OR u.classid = {type_}) \
             UNION ALL SELECT {constraint}, k.oid FROM pg_catalog.pg_constraint k \
               WHERE u.classid = {type_} AND k.contypid = u.objid) more(classid, objid)), \
         found(classid, objid, objsubid) AS ( \
           SELECT o.classid, o.objid, o.objsubid FROM own o JOIN pg_catalog.pg_class c ON c.oid = o.relid \
             WHERE NOT o.is_plain AND NOT {trusted} \
           UNION ALL SELECT u.root, u.rootid, u.rootsub FROM uses u WHERE {others} \
           UNION ALL SELECT {trigger}, x.oid, 0 FROM touched t JOIN pg_catalog.pg_trigger x ON x.tgrelid = t.oid \
             JOIN pg_catalog.pg_class c ON c.oid = t.oid, LATERAL pg_catalog.aclexplode(c.relacl) a \
             WHERE x.tgqual IS NOT NULL AND a.privilege_type = 'TRIGGER' AND NOT {grantee}) \
         SELECT pg_catalog.min(pg_catalog.pg_describe_object(classid, objid, objsubid)) FROM found",
        touched = touched(table),
        own = own.join(" UNION ALL "),
        class = class("pg_class"),
        type_ = class("pg_type"),
        constraint = class("pg_constraint"),
        trigger = class("pg_trigger"),
        trusted = is_trusted("c.relowner"),
        others = others.join(" OR "),
        grantee = is_trusted("a.grantee"),
    )
}
