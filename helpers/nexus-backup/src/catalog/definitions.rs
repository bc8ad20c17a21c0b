//! Definitions that no lock of this program holds: of functions, types, views and the like. pg_dump reads their rows in the
//! snapshot, but has the server print parts of them as they are now. If one was dropped, renamed or replaced meanwhile, the
//! dump could not be restored: `RETURNS` without a type, or a view of a function that has another name.

use std::collections::BTreeSet;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::failure::from_client;
use tokio_postgres::Client;

const DOING: &str = "dumping definitions";

/// The catalogs, the condition for the rows that count, and the schema of each row. Rows of what initdb created do not change,
/// and nobody dumps temporary objects.
const CATALOGS: [(&str, &str, &str); 15] = [
    ("pg_proc", "true", "x.pronamespace"),
    ("pg_type", "true", "x.typnamespace"),
    ("pg_operator", "true", "x.oprnamespace"),
    ("pg_opclass", "true", "x.opcnamespace"),
    ("pg_opfamily", "true", "x.opfnamespace"),
    ("pg_collation", "true", "x.collnamespace"),
    ("pg_statistic_ext", "true", "x.stxnamespace"),
    ("pg_constraint", "x.contypid <> 0", "x.connamespace"),
    ("pg_rewrite", "true", "(SELECT c.relnamespace FROM pg_catalog.pg_class c WHERE c.oid = x.ev_class)"),
    (
        "pg_trigger",
        "NOT x.tgisinternal",
        "(SELECT c.relnamespace FROM pg_catalog.pg_class c WHERE c.oid = x.tgrelid)",
    ),
    ("pg_ts_config", "true", "x.cfgnamespace"),
    ("pg_ts_dict", "true", "x.dictnamespace"),
    ("pg_namespace", "true", "x.oid"),
    ("pg_cast", "true", "NULL::oid"),
    ("pg_event_trigger", "true", "NULL::oid"),
];

/// Sequences and indexes by their names: their rows change with each REINDEX.
const NAMES: &str = "SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid, x.oid, x.relnamespace::text || ' ' || x.relname \
    FROM pg_catalog.pg_class x JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace \
    WHERE x.oid >= 16384 AND x.relkind IN ('S', 'i', 'I') AND n.nspname !~ '^pg_(toast|temp_|toast_temp_)'";

/// Catalog, OID and version of a row.
type RowVersion = (u32, u32, String);

/// Fails if a definition that the snapshot of `client` sees has changed since. `observer` sees what is committed now.
///
/// # Errors
/// TryLater (75) with the object; errors of the server.
pub(crate) async fn require_unchanged(client: &Client, observer: &Client) -> Result<()> {
    let now = versions(observer).await?;
    let Some((catalog, oid, _)) = versions(client).await?.into_iter().find(|row| !now.contains(row)) else {
        return Ok(());
    };
    let sql = "SELECT coalesce(pg_catalog.pg_describe_object($1, $2, 0), 'an object that is gone now')";
    let described = observer.query_one(sql, &[&catalog, &oid]).await.map_err(|e| from_client(DOING, &e))?;
    Err(Failure::new(Exit::TryLater, DOING)
        .because(format!("another session changed {} meanwhile", described.get::<_, &str>(0)))
        .advise("Try again when no session keeps altering functions, types and views"))
}

async fn versions(client: &Client) -> Result<BTreeSet<RowVersion>> {
    let each = CATALOGS.map(|(catalog, which, schema)| {
        format!(
            "SELECT 'pg_catalog.{catalog}'::pg_catalog.regclass::oid, x.oid, x.xmin::text FROM pg_catalog.{catalog} x \
             WHERE x.oid >= 16384 AND {which} AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n \
               WHERE n.oid = {schema} AND n.nspname ~ '^pg_(toast_)?temp_')"
        )
    });
    let rows = client
        .query(&format!("{} UNION ALL {NAMES}", each.join(" UNION ALL ")), &[])
        .await
        .map_err(|e| from_client(DOING, &e))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}
