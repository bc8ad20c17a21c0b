//! Reads the database's properties, extensions, sequences and number of large objects.

use std::collections::BTreeMap;

use nexus_backup_set::manifest::{DatabaseProperties, DatabaseSetting, Grant, SequenceState};
use nexus_cli::failure::Result;
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

const SEQUENCES: &str = "\
SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind = 'S' AND c.relpersistence IN ('p', 'u') AND n.nspname !~ '^pg_' \
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
      AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e') ORDER BY 1, 2";

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
    let mut sequences = BTreeMap::new();
    for row in client.query(SEQUENCES, &[]).await.map_err(failed)? {
        let name = quote::qualified(row.get(0), row.get(1));
        let state = client
            .query_one(&format!("SELECT last_value, is_called FROM {name}"), &[])
            .await
            .map_err(failed)?;
        sequences.insert(name, SequenceState { last_value: state.get(0), is_called: state.get(1) });
    }
    Ok(sequences)
}

/// Counts the large objects.
pub(crate) async fn large_object_count(client: &Client) -> Result<u64> {
    let row = client
        .query_one("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata", &[])
        .await
        .map_err(|e| from_client("counting large objects", &e))?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}
