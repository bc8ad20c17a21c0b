//! Reads the database's properties, extensions, sequences and number of large objects.

use std::collections::BTreeMap;

use nexus_backup_set::manifest::{DatabaseProperties, DatabaseSetting, Grant, SequenceState};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;
use tokio_postgres::Client;

/// PostgreSQL 17 renamed `daticulocale` to `datlocale`, and 16 added `daticurules`. Reading the row as JSON works with all.
const PROPERTIES: &str = "\
SELECT pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datlocprovider, d.datcollate::text, d.datctype::text, \
  coalesce(j.row ->> 'datlocale', j.row ->> 'daticulocale'), j.row ->> 'daticurules', \
  pg_catalog.pg_get_userbyid(d.datdba)::text, pg_catalog.shobj_description(d.oid, 'pg_database'), d.datconnlimit \
FROM pg_catalog.pg_database d, LATERAL (SELECT pg_catalog.to_jsonb(d) AS row) j \
WHERE d.datname = pg_catalog.current_database()";

const SETTINGS: &str = "\
SELECT r.rolname::text, pg_catalog.unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s \
JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
WHERE d.datname = pg_catalog.current_database() ORDER BY 1 NULLS FIRST, 2";

const GRANTS: &str = "\
SELECT CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END, a.privilege_type, a.is_grantable \
FROM pg_catalog.pg_database d, \
  pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a \
WHERE d.datname = pg_catalog.current_database() ORDER BY 1 NULLS FIRST, 2";

const TABLESPACES: &str = "\
SELECT DISTINCT t.spcname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace \
WHERE t.spcname <> 'pg_global' ORDER BY 1";

/// The states are read by OID. `SELECT … FROM` their names would read what the owner has put in their place meanwhile, and
/// run its code as superuser: a view, or a table whose index calls a function (the mend of CVE-2024-7348 refuses only views).
/// pg_get_sequence_data came with 18.
const SEQUENCES: &str = "\
SELECT n.nspname::text, c.relname::text, s.last_value, s.is_called FROM pg_catalog.pg_class c \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, LATERAL pg_catalog.pg_get_sequence_data(c.oid) s \
WHERE c.relkind = 'S' AND c.relpersistence IN ('p', 'u') AND n.nspname !~ '^pg_' \
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
      AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e') ORDER BY 1, 2";

const HAS_SEQUENCE_DATA: &str = "SELECT pg_catalog.to_regproc('pg_catalog.pg_get_sequence_data') IS NOT NULL";

/// Older servers tell the value of a sequence only if it was called; else it is usually the first one. After an ALTER SEQUENCE
/// RESTART it is another, which pg_dump's archive has.
const OLDER: &str = "(SELECT coalesce(l.value, q.seqstart) AS last_value, l.value IS NOT NULL AS is_called \
FROM pg_catalog.pg_sequence q, LATERAL (SELECT pg_catalog.pg_sequence_last_value(c.oid) AS value) l WHERE q.seqrelid = c.oid)";

/// Reads the properties and settings of the database.
pub(crate) async fn properties(client: &Client) -> Result<DatabaseProperties> {
    let failed = |e| from_client("reading the properties of the database", &e);
    let row = client.query_one(PROPERTIES, &[]).await.map_err(failed)?;
    let settings = client.query(SETTINGS, &[]).await.map_err(failed)?;
    let grants = client.query(GRANTS, &[]).await.map_err(failed)?;
    let tablespaces = client.query(TABLESPACES, &[]).await.map_err(failed)?;
    Ok(DatabaseProperties {
        encoding: row.get(0),
        locale_provider: char::from(row.get::<_, i8>(1).cast_unsigned()).to_string(),
        collate: row.get(2),
        ctype: row.get(3),
        locale: row.get(4),
        icu_rules: row.get(5),
        owner: row.get(6),
        comment: row.get(7),
        connection_limit: row.get(8),
        settings: settings
            .iter()
            .filter_map(|row| {
                let (name, value) = row.get::<_, &str>(1).split_once('=')?;
                Some(DatabaseSetting { role: row.get(0), name: name.to_owned(), value: value.to_owned() })
            })
            .collect(),
        tablespaces: Some(tablespaces.iter().map(|row| row.get(0)).collect()),
        grants: grants
            .iter()
            .map(|row| Grant { role: row.get(0), privilege: row.get(1), grantable: row.get(2) })
            .collect(),
    })
}

/// Reads the extensions and their versions.
pub(crate) async fn extensions(client: &Client) -> Result<BTreeMap<String, String>> {
    let rows = client
        .query("SELECT extname::text, extversion FROM pg_catalog.pg_extension", &[])
        .await
        .map_err(|e| from_client("reading the extensions", &e))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Reads the sequences, by quoted qualified name.
///
/// A snapshot does not cover their values (PostgreSQL manual, "Sequence Manipulation Functions"). While programs insert rows,
/// the values read here may differ from those that pg_dump writes.
pub(crate) async fn sequences(client: &Client) -> Result<BTreeMap<String, SequenceState>> {
    let failed = |e| from_client("reading the sequences", &e);
    let has_data: bool = client.query_one(HAS_SEQUENCE_DATA, &[]).await.map_err(failed)?.get(0);
    let query = if has_data {
        SEQUENCES.to_owned()
    } else {
        SEQUENCES.replace("pg_catalog.pg_get_sequence_data(c.oid)", OLDER)
    };
    let rows = client.query(&query, &[]).await.map_err(failed)?;
    rows.iter()
        .map(|row| {
            let name = quote::qualified(row.get(0), row.get(1));
            match (row.get(2), row.get(3)) {
                (Some(last_value), Some(is_called)) => Ok((name, SequenceState { last_value, is_called })),
                _ => Err(Failure::new(Exit::TryLater, "reading the sequences")
                    .because(format!("{name} was dropped meanwhile"))
                    .advise("Run the backup again")),
            }
        })
        .collect()
}

/// Counts the large objects.
pub(crate) async fn large_object_count(client: &Client) -> Result<u64> {
    let row = client
        .query_one("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata", &[])
        .await
        .map_err(|e| from_client("counting large objects", &e))?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}
