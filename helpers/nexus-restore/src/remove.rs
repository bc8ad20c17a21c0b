//! Drops a database, and ends its sessions.

use nexus_cli::failure::Result;
use nexus_cli::stop::Stop;
use nexus_cli::text::printable;
use nexus_postgres::blocking::Control;
use nexus_postgres::failure::from_client;
use nexus_postgres::quote;
use nexus_postgres::server::Server;
use tokio_postgres::error::SqlState;

/// Drops database `name`, if it exists.
pub(crate) fn drop_database(server: &Server, control: &Control, name: &str) -> Result<()> {
    let doing = format!("dropping database {}", printable(name));
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote::identifier(name));
    match control.try_run(&sql)? {
        Ok(()) => Ok(()),
        // The server does not drop a database that has subscriptions.
        Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => {
            forget_subscriptions(server, control, name, &doing)?;
            control.run(&doing, &sql)
        }
        Err(error) => Err(from_client(doing, &error)),
    }
}

/// Drops the database's subscriptions but not their slots at the publisher, which belong to the live database
/// (ALTER SUBSCRIPTION, `slot_name = NONE`).
fn forget_subscriptions(server: &Server, control: &Control, name: &str, doing: &str) -> Result<()> {
    let subscriptions = control.rows(
        doing,
        "SELECT s.subname::text FROM pg_catalog.pg_subscription s \
         JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = $1",
        &[&name],
    )?;
    if subscriptions.is_empty() {
        return Ok(());
    }
    let inside = Control::open(server, name, &Stop::default())?;
    inside.run(doing, "SET default_transaction_read_only = off")?;
    for row in subscriptions {
        let subscription = quote::identifier(row.get(0));
        inside.run(doing, &format!("ALTER SUBSCRIPTION {subscription} DISABLE"))?;
        inside.run(doing, &format!("ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE)"))?;
        inside.run(doing, &format!("DROP SUBSCRIPTION {subscription}"))?;
    }
    Ok(())
}
