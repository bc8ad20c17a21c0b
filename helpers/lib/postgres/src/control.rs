//! The control connection: catalog queries, transactions, small statements.

use nexus_cli::failure::Result;
use tokio_postgres::{Client, Config, NoTls};
use zeroize::Zeroizing;

use crate::failure::from_client;
use crate::server::Server;
use crate::session;

/// Connects to `database`. The current tokio runtime drives the connection.
///
/// # Errors
/// Unavailable (69) when the server does not answer, Permission (77) when it refuses the password.
pub async fn connect(server: &Server, database: &str, application: &str) -> Result<Client> {
    let mut config = Config::new();
    let settings = &server.settings;
    if server.is_local() {
        config.host_path(&settings.host);
    } else {
        config.host(&settings.host);
    }
    let password = Zeroizing::new(server.password().to_vec());
    config
        .port(settings.port)
        .user(&settings.user)
        .password(password.as_slice())
        .dbname(database)
        .application_name(application)
        .options(session::OPTIONS)
        .connect_timeout(std::time::Duration::from_secs(10));
    let doing = || format!("connecting to PostgreSQL at {} as {}", server.address(), settings.user);
    let (client, connection) = config.connect(NoTls).await.map_err(|e| from_client(doing(), &e))?;
    // Ends with the client. Its error reaches the caller that waits for an answer.
    tokio::spawn(connection);
    client
        .batch_execute(&format!("{}; SET search_path = ''", session::FIRST))
        .await
        .map_err(|e| from_client("preparing the session", &e))?;
    Ok(client)
}
