//! Checks that the backup's role sees every row.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::failure::from_client;
use tokio_postgres::Client;

/// Refuses a role from which row-level security may hide rows: its dump could silently lack them (PostgreSQL manual, "Row
/// Security Policies").
///
/// # Errors
/// Permission (77) if the role is neither superuser nor BYPASSRLS.
pub(crate) async fn require_full_visibility(client: &Client) -> Result<()> {
    let doing = "checking that the role sees every row";
    let row = client
        .query_one(
            "SELECT rolname::text, rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user",
            &[],
        )
        .await
        .map_err(|e| from_client(doing, &e))?;
    if row.get(1) {
        return Ok(());
    }
    let role: String = row.get(0);
    Err(Failure::new(Exit::Permission, doing)
        .because(format!("role {role} is neither superuser nor BYPASSRLS, its dump could silently lack rows"))
        .advise("Set NEXUS_PG_USER to a superuser (postgres in the shipped stack)"))
}
