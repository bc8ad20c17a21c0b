//! Lists the tables to copy: every ordinary table that no extension owns.

use std::collections::HashMap;

use nexus_backup_set::manifest::CopyFormat;
use nexus_cli::failure::Result;
use nexus_docker_client::protocol::TableName;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;
use tokio_postgres::Client;

use crate::catalog::binary_safety::{TypeFacts, why_text};

/// A table to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TablePlan {
    pub(crate) name: TableName,
    /// The columns in the table's order, without generated ones, which a restore computes again.
    pub(crate) columns: Vec<String>,
    pub(crate) format: CopyFormat,
    pub(crate) text_because: Option<String>,
    /// Size in the database, with TOAST and without indexes, in bytes.
    pub(crate) stored_bytes: u64,
    /// PostgreSQL's estimate of the number of rows; -1 if it has none.
    pub(crate) estimated_rows: i64,
}

impl TablePlan {
    /// Returns the table's name for a session in the database's own encoding.
    pub(crate) fn ascii_name(&self) -> String {
        format!(
            "{}.{}",
            quote::ascii_identifier(&self.name.schema),
            quote::ascii_identifier(&self.name.table)
        )
    }
}

/// Lists the tables. pg_dump handles the tables of extensions, because it knows which of their rows are configuration.
/// Partitioned tables and views have no rows.
const TABLES: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, coalesce(pg_catalog.pg_table_size(c.oid), 0), c.reltuples::bigint \
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE c.relkind = 'r' AND c.relpersistence IN ('p', 'u') \
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
      AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e') \
ORDER BY 4 DESC, 2, 3";

const COLUMNS: &str = "\
SELECT attrelid, attname::text, atttypid FROM pg_catalog.pg_attribute \
WHERE attrelid = ANY($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attrelid, attnum";

/// Reads the types in `$1`, with their base and element types.
const TYPES: &str = "\
WITH RECURSIVE used(oid) AS ( \
  SELECT pg_catalog.unnest($1::pg_catalog.oid[]) UNION \
  SELECT other FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid, \
    LATERAL (VALUES (t.typbasetype), (t.typelem)) AS made(other) WHERE other <> 0) \
SELECT t.oid, t.typname::text, t.typtype, t.typbasetype, \
  CASE WHEN t.typlen = -1 AND t.typelem <> 0 AND t.typcategory = 'A' THEN t.typelem ELSE 0::pg_catalog.oid END, \
  t.typsend::pg_catalog.oid <> 0 AND t.typreceive::pg_catalog.oid <> 0, \
  EXISTS (SELECT FROM pg_catalog.pg_depend d \
    WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid \
      AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e') \
FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid";

/// Reads the tables, largest first. The caller has locked them, so reading their sizes does not wait for other sessions.
pub(crate) async fn read(client: &Client) -> Result<Vec<TablePlan>> {
    let doing = "listing the tables";
    let failed = |e| from_client(doing, &e);
    let rows = client.query(TABLES, &[]).await.map_err(failed)?;
    let oids: Vec<u32> = rows.iter().map(|row| row.get(0)).collect();

    let mut columns: HashMap<u32, Vec<(String, u32)>> = HashMap::new();
    for row in client.query(COLUMNS, &[&oids]).await.map_err(failed)? {
        columns.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    let mut used: Vec<u32> = columns.values().flatten().map(|(_, type_oid)| *type_oid).collect();
    used.sort_unstable();
    used.dedup();
    let types = read_types(client, &used).await?;

    let tables = rows
        .iter()
        .map(|row| {
            let columns = columns.remove(&row.get(0)).unwrap_or_default();
            let text_because = columns.iter().find_map(|(column, type_oid)| {
                why_text(&types, *type_oid).map(|why| format!("column {column}: {why}"))
            });
            TablePlan {
                name: TableName { schema: row.get(1), table: row.get(2) },
                columns: columns.into_iter().map(|(name, _)| name).collect(),
                format: if text_because.is_some() { CopyFormat::Text } else { CopyFormat::Binary },
                text_because,
                stored_bytes: u64::try_from(row.get::<_, i64>(3)).unwrap_or(0),
                estimated_rows: row.get(4),
            }
        })
        .collect();
    Ok(tables)
}

async fn read_types(client: &Client, used: &[u32]) -> Result<HashMap<u32, TypeFacts>> {
    let rows =
        client.query(TYPES, &[&used]).await.map_err(|e| from_client("reading the column types", &e))?;
    let facts = rows.iter().map(|row| {
        let facts = TypeFacts {
            name: row.get(1),
            kind: char::from(row.get::<_, i8>(2).cast_unsigned()),
            base: row.get(3),
            element: row.get(4),
            has_send_and_receive: row.get(5),
            of_extension: row.get(6),
        };
        (row.get(0), facts)
    });
    Ok(facts.collect())
}
