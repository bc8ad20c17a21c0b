//! Lists what the server holds that no set of this database contains.

use std::collections::BTreeMap;

use nexus_backup_set::manifest::LeftOut;
use nexus_cli::failure::Result;
use nexus_postgres::control;
use nexus_postgres::failure::from_client;
use nexus_postgres::server::Server;
use tokio_postgres::Client;

use crate::snapshot::APPLICATION;

/// Lists the other databases, except those that a restore is building or has kept.
const DATABASES: &str = "\
SELECT datname::text, CASE WHEN pg_catalog.has_database_privilege(oid, 'CONNECT') THEN pg_catalog.pg_database_size(oid) END \
FROM pg_catalog.pg_database \
WHERE datallowconn AND NOT datistemplate AND datname <> pg_catalog.current_database() \
  AND datname !~ ' (restoring [0-9]{6,}|before [0-9]{6,} [0-9]{8}T[0-9]{6}Z|undone [0-9]{8}T[0-9]{6}Z)$'";

const SETTINGS: &str = "\
SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings WHERE sourcefile ~ '(^|/)postgresql[.]auto[.]conf$'";

const LOGINS: &str = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolcanlogin ORDER BY 1";

/// Whether a database holds relations or large objects of its users.
const IS_USED: &str = "\
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
  WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_') \
OR EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)";

/// The database that every cluster has. It is listed only if it is used.
const DEFAULT_DATABASE: &str = "postgres";

/// Lists what the set leaves out.
pub(crate) async fn read(client: &Client, server: &Server) -> Result<LeftOut> {
    let failed = |e| from_client("listing what the set leaves out", &e);
    let mut databases = BTreeMap::new();
    for row in client.query(DATABASES, &[]).await.map_err(failed)? {
        let name: String = row.get(0);
        if name == DEFAULT_DATABASE && !is_used(server, &name).await {
            continue;
        }
        databases.insert(name, row.get::<_, Option<i64>>(1).and_then(|bytes| u64::try_from(bytes).ok()));
    }
    let settings = client.query(SETTINGS, &[]).await.map_err(failed)?;
    let logins = client.query(LOGINS, &[]).await.map_err(failed)?;
    Ok(LeftOut {
        databases,
        settings: settings.iter().map(|row| (row.get(0), row.get(1))).collect(),
        passwords: logins.iter().map(|row| row.get(0)).collect(),
    })
}

/// Returns whether a database is used. One that cannot be inspected counts as used.
async fn is_used(server: &Server, database: &str) -> bool {
    let Ok(inside) = control::connect(server, database, APPLICATION).await else { return true };
    inside.query_one(IS_USED, &[]).await.map_or(true, |row| row.get(0))
}
