//! Refuses a role from which row-level security may hide rows (PostgreSQL manual, "Row Security
//! Policies").

use nexus_cli::failure::{Exit, Failure, Result};
use tokio_postgres::{Client, Row};

use crate::blocking::Control;
use crate::failure::from_client;

const DOING: &str = "checking that the role sees every row";

const ROLE: &str =
    "SELECT rolname::text, rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user";

/// Requires that the role of the session sees every row. `risk` says what could happen otherwise.
///
/// # Errors
/// Permission (77) if the role is neither superuser nor BYPASSRLS.
pub async fn require(client: &Client, risk: &str) -> Result<()> {
    judge(&client.query_one(ROLE, &[]).await.map_err(|e| from_client(DOING, &e))?, risk)
}

/// Does the same in synchronous code.
///
/// # Errors
/// Those of [`require`].
pub fn require_blocking(control: &Control, risk: &str) -> Result<()> {
    judge(&control.row(DOING, ROLE, &[])?, risk)
}

fn judge(row: &Row, risk: &str) -> Result<()> {
    if row.get(1) {
        return Ok(());
    }
    let role: String = row.get(0);
    Err(Failure::new(Exit::Permission, DOING)
        .because(format!("role {role} is neither superuser nor BYPASSRLS, {risk}"))
        .advise("Set NEXUS_PG_USER to a superuser (postgres in the shipped stack)"))
}
