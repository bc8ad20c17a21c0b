//! The catalog queries. Each row is kind, identity, definition. (PostgreSQL manual, "System
//! Catalogs".) They run with an empty search_path, so that every name is qualified.

/// The kind of roles.
pub(super) const ROLE: &str = "role";

/// All the queries.
pub(super) const QUERIES: [&str; 10] =
    [RELATIONS, INDEXES, CONSTRAINTS, TRIGGERS, POLICIES, FUNCTIONS, TYPES, SCHEMAS, OTHERS, ROLES];

/// Privileges as a sorted set, without the grantor: `acl!(column, object type of acldefault(),
/// owner)`.
macro_rules! acl {
    ($acl:literal, $kind:literal, $owner:literal) => {
        concat!(
            "(SELECT jsonb_agg(DISTINCT jsonb_build_array(g.grantee = 0, pg_get_userbyid(g.grantee), ",
            "g.privilege_type, g.is_grantable)) FROM aclexplode(coalesce(",
            $acl,
            ", acldefault(",
            $kind,
            ", ",
            $owner,
            "))) g)"
        )
    };
}

/// True unless CREATE EXTENSION creates the object: `not_of_extension!(catalog, oid)`.
macro_rules! not_of_extension {
    ($catalog:literal, $oid:literal) => {
        concat!(
            "NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '",
            $catalog,
            "'::regclass AND e.objid = ",
            $oid,
            " AND e.deptype = 'e')"
        )
    };
}

/// True unless the schema belongs to the server: `is_user_schema!(name)`.
macro_rules! is_user_schema {
    ($name:literal) => {
        concat!("(", $name, " !~ '^pg_' AND ", $name, " <> 'information_schema')")
    };
}

/// The column options that pg_dump includes. A server may have internal ones, such as `pg_attver`
/// in 17.12.
macro_rules! column_options {
    () => {
        concat!(
            "(SELECT array_agg(o.option ORDER BY o.place) FROM unnest(a.attoptions) WITH ORDINALITY o(option, place) ",
            "WHERE split_part(o.option, '=', 1) IN ('n_distinct', 'n_distinct_inherited'))"
        )
    };
}

/// Sorts columns by name: a restore may change their order in a table that inherits.
const RELATIONS: &str = concat!(
    "SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' ",
    "WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ",
    "ELSE 'composite type' END, format('%I.%I', n.nspname, c.relname), jsonb_build_array(",
    "pg_get_userbyid(c.relowner), c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, ",
    "c.relispopulated, (SELECT jsonb_agg(o ORDER BY o) FROM unnest(c.reloptions) o), ",
    "(SELECT amname FROM pg_am WHERE oid = c.relam), obj_description(c.oid, 'pg_class'), ",
    acl!("c.relacl", "CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\"", "c.relowner"),
    ", (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, ",
    "a.atthasdef, a.attidentity, a.attgenerated, a.attstorage, a.attcompression, ",
    "(SELECT collname FROM pg_collation WHERE oid = a.attcollation), ",
    column_options!(),
    ", ",
    "col_description(c.oid, a.attnum)) ORDER BY a.attname COLLATE \"C\") ",
    "FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'S'), ",
    "(SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid), ",
    "(SELECT to_jsonb(s) - 'seqrelid' - 'seqtypid' FROM pg_sequence s WHERE s.seqrelid = c.oid))::text ",
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace ",
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND ",
    is_user_schema!("n.nspname"),
    " AND ",
    not_of_extension!("pg_class", "c.oid"),
);

/// pg_dump omits invalid indexes, except those of partitioned tables, which may lack parts.
const INDEXES: &str = concat!(
    "SELECT 'index', format('%I.%I', n.nspname, c.relname), jsonb_build_array(i.indrelid::regclass::text, ",
    "(SELECT amname FROM pg_am WHERE oid = c.relam), i.indisunique, i.indisprimary, i.indisexclusion, ",
    "i.indnullsnotdistinct, i.indisclustered, i.indisreplident, i.indnkeyatts, i.indoption::text, ",
    "i.indpred IS NOT NULL, (SELECT jsonb_agg(o ORDER BY o) FROM unnest(c.reloptions) o), ",
    "(SELECT jsonb_agg(coalesce(a.attname, '(expression)') ORDER BY k.place) ",
    "FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, place) ",
    "LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0), ",
    "(SELECT jsonb_agg(o.opcname ORDER BY k.place) FROM unnest(i.indclass::oid[]) WITH ORDINALITY k(class, place) ",
    "JOIN pg_opclass o ON o.oid = k.class), obj_description(c.oid, 'pg_class'))::text ",
    "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid ",
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE (i.indisvalid OR t.relkind = 'p') AND ",
    is_user_schema!("n.nspname"),
);

/// Leaves out constraints that a partition inherits, whose names the server chooses, and NOT NULL,
/// which belongs to the column here.
const CONSTRAINTS: &str = concat!(
    "SELECT 'constraint', format('%I on %s', k.conname, ",
    "CASE WHEN k.conrelid <> 0 THEN k.conrelid::regclass::text ELSE format_type(k.contypid, NULL) END), ",
    "jsonb_build_array(k.contype, k.condeferrable, k.condeferred, k.convalidated, k.connoinherit, ",
    "(SELECT jsonb_agg(a.attname ORDER BY p.place) FROM unnest(k.conkey) WITH ORDINALITY p(attnum, place) ",
    "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.attnum), k.confrelid::regclass::text, ",
    "(SELECT jsonb_agg(a.attname ORDER BY p.place) FROM unnest(k.confkey) WITH ORDINALITY p(attnum, place) ",
    "JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.attnum), ",
    "k.confupdtype, k.confdeltype, k.confmatchtype)::text ",
    "FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace ",
    "WHERE k.conparentid = 0 AND k.contype <> 'n' AND ",
    is_user_schema!("n.nspname"),
);

const TRIGGERS: &str = concat!(
    "SELECT 'trigger', format('%I on %s', t.tgname, t.tgrelid::regclass), jsonb_build_array(t.tgenabled, t.tgtype, ",
    "t.tgfoid::regprocedure::text, t.tgdeferrable, t.tginitdeferred, encode(t.tgargs, 'hex'), ",
    "t.tgqual IS NOT NULL, t.tgoldtable, t.tgnewtable)::text ",
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace ",
    "WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND ",
    is_user_schema!("n.nspname"),
    " UNION ALL ",
    "SELECT 'rule', format('%I on %s', r.rulename, r.ev_class::regclass), ",
    "jsonb_build_array(r.ev_type, r.ev_enabled, r.is_instead, r.ev_qual IS NOT NULL)::text ",
    "FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace ",
    "WHERE r.rulename <> '_RETURN' AND ",
    is_user_schema!("n.nspname"),
);

const POLICIES: &str = concat!(
    "SELECT 'policy', format('%I on %s', p.polname, p.polrelid::regclass), jsonb_build_array(p.polcmd, ",
    "p.polpermissive, p.polqual IS NOT NULL, p.polwithcheck IS NOT NULL, ",
    // The catalog has the roles in any order. (In an aggregate, ORDER BY 1 would sort by the
    // constant 1.)
    "(SELECT jsonb_agg(role ORDER BY role COLLATE \"C\") FROM (SELECT CASE WHEN r = 0 THEN 'PUBLIC' ",
    "ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) r) n(role)))::text FROM pg_policy p",
);

/// Leaves out the body of a function that is stored as an expression (BEGIN ATOMIC).
const FUNCTIONS: &str = concat!(
    "SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, ",
    "format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), jsonb_build_array(",
    "pg_get_userbyid(p.proowner), l.lanname, p.prokind, p.prosecdef, p.proleakproof, p.proisstrict, p.proretset, ",
    "p.provolatile, p.proparallel, p.procost, p.prorows, format_type(p.prorettype, NULL), p.proargnames, ",
    "p.proargmodes, p.proconfig, CASE WHEN p.prosqlbody IS NULL THEN p.prosrc END, p.probin, ",
    acl!("p.proacl", "'f'::\"char\"", "p.proowner"),
    ", obj_description(p.oid, 'pg_proc'))::text ",
    "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang WHERE ",
    is_user_schema!("n.nspname"),
    " AND ",
    not_of_extension!("pg_proc", "p.oid"),
    // Without functions that CREATE TYPE … AS RANGE creates.
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid ",
    "AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i')",
);

/// Without the row types of tables and the array type of each type.
const TYPES: &str = concat!(
    "SELECT CASE t.typtype WHEN 'd' THEN 'domain' WHEN 'e' THEN 'enum' WHEN 'r' THEN 'range' ELSE 'type' END, ",
    "format('%I.%I', n.nspname, t.typname), jsonb_build_array(pg_get_userbyid(t.typowner), t.typnotnull, ",
    "format_type(t.typbasetype, t.typtypmod), t.typlen, t.typalign, t.typstorage, ",
    "(SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), ",
    acl!("t.typacl", "'T'::\"char\"", "t.typowner"),
    ", obj_description(t.oid, 'pg_type'))::text FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace ",
    "WHERE t.typtype IN ('b', 'd', 'e', 'r') AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = t.oid) AND ",
    is_user_schema!("n.nspname"),
    " AND ",
    not_of_extension!("pg_type", "t.oid"),
);

const SCHEMAS: &str = concat!(
    "SELECT 'schema', quote_ident(n.nspname), jsonb_build_array(pg_get_userbyid(n.nspowner), ",
    acl!("n.nspacl", "'n'::\"char\"", "n.nspowner"),
    ", obj_description(n.oid, 'pg_namespace'))::text FROM pg_namespace n WHERE ",
    is_user_schema!("n.nspname"),
    " AND ",
    not_of_extension!("pg_namespace", "n.oid"),
);

/// Rare kinds, of which only the existence is compared. Objects of the server itself have numbers
/// below 16384 (FirstNormalObjectId).
const OTHERS: &str = "\
SELECT i.type, i.identity, '' FROM ( \
  SELECT 'pg_operator'::regclass AS catalog, oid FROM pg_operator UNION ALL \
  SELECT 'pg_opclass'::regclass, oid FROM pg_opclass UNION ALL \
  SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily UNION ALL \
  SELECT 'pg_cast'::regclass, oid FROM pg_cast UNION ALL \
  SELECT 'pg_collation'::regclass, oid FROM pg_collation UNION ALL \
  SELECT 'pg_conversion'::regclass, oid FROM pg_conversion UNION ALL \
  SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config UNION ALL \
  SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict UNION ALL \
  SELECT 'pg_ts_parser'::regclass, oid FROM pg_ts_parser UNION ALL \
  SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template UNION ALL \
  SELECT 'pg_event_trigger'::regclass, oid FROM pg_event_trigger UNION ALL \
  SELECT 'pg_publication'::regclass, oid FROM pg_publication UNION ALL \
  SELECT 'pg_publication_rel'::regclass, oid FROM pg_publication_rel UNION ALL \
  SELECT 'pg_subscription'::regclass, s.oid FROM pg_subscription s \
    JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database() UNION ALL \
  SELECT 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper UNION ALL \
  SELECT 'pg_foreign_server'::regclass, oid FROM pg_foreign_server UNION ALL \
  SELECT 'pg_user_mapping'::regclass, oid FROM pg_user_mapping UNION ALL \
  SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext UNION ALL \
  SELECT 'pg_language'::regclass, oid FROM pg_language UNION ALL \
  SELECT 'pg_transform'::regclass, oid FROM pg_transform UNION ALL \
  SELECT 'pg_default_acl'::regclass, oid FROM pg_default_acl UNION ALL \
  SELECT 'pg_am'::regclass, oid FROM pg_am UNION ALL \
  SELECT 'pg_extension'::regclass, oid FROM pg_extension \
) o, pg_identify_object(o.catalog, o.oid, 0) i \
WHERE o.oid >= 16384 AND coalesce(i.schema, '') !~ '^pg_' \
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = o.catalog AND e.objid = o.oid AND e.deptype = 'e')";

const ROLES: &str = "\
SELECT 'role', r.rolname::text, jsonb_build_array(r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, \
  r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, extract(epoch FROM r.rolvaliduntil)::text, \
  (SELECT jsonb_agg(c ORDER BY c) FROM pg_db_role_setting s, unnest(s.setconfig) c \
    WHERE s.setrole = r.oid AND s.setdatabase = 0), \
  (SELECT jsonb_agg(DISTINCT jsonb_build_array(g.rolname, m.admin_option)) \
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid))::text \
FROM pg_roles r WHERE r.rolname !~ '^pg_'";
