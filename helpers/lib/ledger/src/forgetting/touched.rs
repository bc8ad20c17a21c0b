//! SQL for the tables that deleting rows touches, and for what in them could run code of a role that
//! is not a superuser.

use crate::forgetting::Table;
use crate::forgetting::code_of_others::is_trusted;

/// SQL for the table expressions `reached` and `touched`, for WITH RECURSIVE. Deleting rows of a
/// table may change rows of the tables that refer to it, directly or through others: those it
/// reaches. It touches also those that these refer to, since the server checks a changed row by all
/// its keys; and tables that inherit from it, which a search reads. Partitions and their parents
/// count too.
pub(super) fn touched(table: &Table) -> String {
    let relatives = "UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_tree(r.oid) \
        UNION ALL SELECT relid::oid FROM pg_catalog.pg_partition_ancestors(r.oid)";
    format!(
        "reached(oid) AS (SELECT {}::oid UNION SELECT more.oid FROM reached r, LATERAL \
           (SELECT f.conrelid FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.confrelid = r.oid {relatives}) more(oid)), \
         children(oid) AS (SELECT {}::oid UNION SELECT h.inhrelid FROM children c JOIN pg_catalog.pg_inherits h ON h.inhparent = c.oid), \
         touched(oid) AS (SELECT oid FROM reached UNION SELECT oid FROM children UNION SELECT more.oid FROM \
           (SELECT f.confrelid FROM reached t JOIN pg_catalog.pg_constraint f ON f.contype = 'f' AND f.conrelid = t.oid) r(oid), \
           LATERAL (SELECT r.oid {relatives}) more(oid))",
        table.oid(),
        table.oid()
    )
}

/// SQL for a text that names something that could run code of a role that is not a superuser when
/// rows of `table` are deleted; NULL if there is nothing.
///
/// `own` is what belongs to the touched tables, and whether it is known to run no code of its own.
/// `uses` is what that uses, directly or through others. PostgreSQL records that for expressions,
/// except what initdb created, but not for function bodies that are texts. A role that may create
/// triggers chooses their conditions and arguments, so a condition counts even if the role has lost
/// that privilege: some functions of the server run a text as SQL. What a rule does is not followed.
pub(super) fn code_of_others(table: &Table) -> String {
    let owned_by_another = |catalog: &str, owner: &str| {
        format!(
            "u.classid = {} AND EXISTS (SELECT FROM pg_catalog.{catalog} o WHERE o.oid = u.objid AND NOT {})",
            class(catalog),
            is_trusted(&format!("o.{owner}"))
        )
    };
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
               WHERE u.classid = {type_} AND k.contypid = u.objid \
             UNION ALL SELECT {function}, k.castfunc FROM pg_catalog.pg_cast k \
               WHERE u.classid = {type_} AND u.objid IN (k.castsource, k.casttarget) AND NOT EXISTS \
                 (SELECT FROM pg_catalog.pg_type o WHERE o.oid IN (k.castsource, k.casttarget) AND NOT {typed})) more(classid, objid)), \
         found(classid, objid, objsubid) AS ( \
           SELECT o.classid, o.objid, o.objsubid FROM own o JOIN pg_catalog.pg_class c ON c.oid = o.relid \
             WHERE NOT o.is_plain AND NOT {trusted} \
           UNION ALL SELECT u.root, u.rootid, u.rootsub FROM uses u WHERE {others} \
           UNION ALL SELECT {trigger}, x.oid, 0 FROM reached t JOIN pg_catalog.pg_trigger x ON x.tgrelid = t.oid \
             JOIN pg_catalog.pg_class c ON c.oid = t.oid JOIN pg_catalog.pg_proc f ON f.oid = x.tgfoid WHERE NOT x.tgisinternal \
             AND (NOT {condition} OR f.pronamespace IS DISTINCT FROM pg_catalog.to_regnamespace('nexus_memory') AND EXISTS \
                 (SELECT FROM pg_catalog.aclexplode(c.relacl) a WHERE a.privilege_type = 'TRIGGER' AND NOT {grantee})) \
           UNION ALL SELECT {rule}, x.oid, 0 FROM reached t JOIN pg_catalog.pg_rewrite x ON x.ev_class = t.oid) \
         SELECT pg_catalog.min(pg_catalog.pg_describe_object(classid, objid, objsubid)) FROM found",
        touched = touched(table),
        own = own(),
        class = class("pg_class"),
        type_ = class("pg_type"),
        constraint = class("pg_constraint"),
        function = class("pg_proc"),
        trigger = class("pg_trigger"),
        rule = class("pg_rewrite"),
        condition = is_simple("x.tgqual"),
        // A type of such a role is found by its owner. Casts that the role makes from or to other types
        // do not matter here, and any role can make them.
        typed = is_trusted("o.typowner"),
        trusted = is_trusted("c.relowner"),
        others = others.join(" OR "),
        grantee = is_trusted("a.grantee"),
    )
}

/// SQL for what belongs to the `touched` tables: the table, the object, and whether it is known to run
/// no code of its own.
fn own() -> String {
    let belongs_to = |tables: &str, catalog: &str, table: &str, is_plain: &str| {
        format!(
            "SELECT t.oid, {}, x.oid, 0, {is_plain} FROM {tables} t JOIN pg_catalog.{catalog} x ON x.{table} = t.oid",
            class(catalog)
        )
    };
    let belongs =
        |catalog: &str, table: &str, is_plain: &str| belongs_to("touched", catalog, table, is_plain);
    [
        belongs("pg_class", "oid", "x.relkind = 'r' AND NOT x.relispartition"),
        // ON DELETE and ON UPDATE SET DEFAULT evaluate an expression.
        belongs(
            "pg_constraint",
            "conrelid",
            &format!(
                "x.contype IN ('p', 'u', 'n') OR x.contype = 'f' AND 'd' NOT IN (x.confdeltype, x.confupdtype) \
                 OR x.contype = 'c' AND {}",
                is_simple("x.conbin")
            ),
        ),
        // The server only reads tables that it touches and does not reach, as their owner.
        belongs_to("reached", "pg_trigger", "tgrelid", "x.tgisinternal"),
        belongs_to("reached", "pg_policy", "polrelid", "false"),
        belongs("pg_statistic_ext", "stxrelid", &is_simple("x.stxexprs")),
        // A generated column is among the columns below.
        belongs("pg_attrdef", "adrelid", "true"),
        format!(
            "SELECT t.oid, {}, i.indexrelid, 0, {} AND {} FROM touched t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid",
            class("pg_class"),
            is_simple("i.indexprs"),
            is_simple("i.indpred"),
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
    ]
    .join(" UNION ALL ")
}

/// Nodes of an expression (nodes/primnodes.h) that call at most the function that they name. Some
/// have another name since PostgreSQL 16.
const SIMPLE_NODES: [&str; 20] = [
    "VAR",
    "CONST",
    "OPEXPR",
    "FUNCEXPR",
    "BOOLEXPR",
    "NULLTEST",
    "BOOLEANTEST",
    "DISTINCTEXPR",
    "NULLIFEXPR",
    "SCALARARRAYOPEXPR",
    "ARRAY",
    "ARRAYEXPR",
    "ARRAYCOERCEEXPR",
    "RELABELTYPE",
    "COALESCE",
    "COALESCEEXPR",
    "CASE(EXPR)?",
    "CASETESTEXPR",
    "WHEN",
    "CASEWHEN",
];

/// SQL for whether an expression, as PostgreSQL stores it, calls only immutable functions of the
/// server itself, by nodes that cannot call others. A constant is stored as bytes, so no text of a
/// user can look like a node. Of the immutable functions of PostgreSQL 15 to 18, only
/// `satisfies_hash_partition` opens a table, which may be any, and evaluates its partition key.
fn is_simple(expression: &str) -> String {
    format!(
        "coalesce({expression}::text !~ '\\{{(?!({}) )' \
           AND NOT EXISTS (SELECT FROM pg_catalog.regexp_matches({expression}::text, ':(?:op)?funcid ([0-9]+)', 'g') m \
             LEFT JOIN pg_catalog.pg_proc f ON f.oid = m[1]::oid \
             WHERE f.oid >= 16384 OR f.provolatile IS DISTINCT FROM 'i' OR f.proname = 'satisfies_hash_partition'), true)",
        SIMPLE_NODES.join("|")
    )
}

/// SQL for the OID of a catalog.
fn class(catalog: &str) -> String {
    format!("'pg_catalog.{catalog}'::pg_catalog.regclass::oid")
}
