//! Removes what the benchmark has stored, and nothing else: as the role of programs, row-level security in force.

use std::time::Duration;

use age::secrecy::ExposeSecret;
use nexus_core::credentials;
use nexus_core::failure::Result;
use nexus_core::postgres::failure::from_client;
use tokio_postgres::{Config, NoTls};

use crate::args::Api;

/// Removes all rows of `agent`.
///
/// # Errors
/// Unavailable (69), Permission (77).
pub(crate) async fn remove(args: &Api, agent: &str) -> Result<u64> {
    let doing = || format!("removing the rows of the agent {agent}");
    let password = credentials::read("nexus_app_password")?;
    let mut config = Config::new();
    config
        .host_path(&args.pg_host)
        .port(args.pg_port)
        .dbname(&args.pg_database)
        .user("nexus_app")
        .password(password.expose_secret().as_bytes())
        .application_name("nexus-bench")
        .connect_timeout(Duration::from_secs(10));
    let (client, connection) = config.connect(NoTls).await.map_err(|error| from_client(doing(), &error))?;
    // Ends with the client; its error reaches whoever waits for an answer.
    tokio::spawn(connection);
    let as_agent = client.query("SELECT set_config('nexus.agent_id', $1, false)", &[&agent]).await;
    as_agent.map_err(|error| from_client(doing(), &error))?;
    let mut gone = 0;
    for table in ["zep_episodic_memory", "api_idempotency"] {
        let deleted = client.execute(&format!("DELETE FROM nexus_memory.{table}"), &[]).await;
        gone += deleted.map_err(|error| from_client(doing(), &error))?;
    }
    Ok(gone)
}
