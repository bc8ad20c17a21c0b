//! A short session with PostgreSQL. Every step has a timeout, because a server that hangs accepts a connection and does not reply.

use std::path::Path;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure};
use nexus_postgres::control;
use nexus_postgres::failure::from_client;
use nexus_postgres::server::{Server, ServerSettings};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Row};

use crate::APPLICATION;
use crate::finding::Finding;
use crate::report::Liveness;

/// The timeout for connecting and for each statement.
const LIMIT: Duration = Duration::from_secs(5);

/// The most names that a query returns: a role of the server can make millions of objects.
const MOST_NAMES: usize = 1000;

/// The limits of the session: it neither waits for locks nor runs for long.
const SESSION_SETTINGS: &str =
    "SET statement_timeout = '4s'; SET lock_timeout = '1s'; SET default_transaction_read_only = on";

/// An open session.
pub(super) struct Session {
    client: Client,
    runtime: Runtime,
}

/// Why a query failed.
pub(super) struct SessionError {
    pub(super) liveness: Liveness,
    pub(super) sentence: String,
    pub(super) advice: &'static str,
}

impl Session {
    /// Connects to the database in `settings`.
    pub(super) fn open(settings: &ServerSettings) -> Result<Self, SessionError> {
        let server =
            Server::from_settings(settings).map_err(|failure| SessionError::of(Liveness::Busy, &failure))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| SessionError::busy(&error.to_string()))?;
        if server.is_local() {
            require_socket(settings)?;
        }
        let connecting = control::connect(&server, &settings.database, APPLICATION);
        let client = match runtime.block_on(async { tokio::time::timeout(LIMIT, connecting).await }) {
            Ok(Ok(client)) => client,
            Ok(Err(failure)) => return Err(SessionError::because(&failure)),
            Err(_) => return Err(SessionError::timed_out()),
        };
        let session = Self { client, runtime };
        session.wait(session.client.batch_execute(SESSION_SETTINGS))?;
        Ok(session)
    }

    /// Runs a query.
    pub(super) fn rows(&self, sql: &str) -> Result<Vec<Row>, SessionError> {
        self.wait(self.client.query(sql, &[]))
    }

    /// Runs a query whose rows are one string each. Returns the first [`MOST_NAMES`].
    pub(super) fn names(&self, sql: &str) -> Result<Vec<String>, SessionError> {
        Ok(self.rows(&format!("{sql} LIMIT {MOST_NAMES}"))?.iter().map(|row| row.get(0)).collect())
    }

    fn wait<T>(
        &self,
        reply: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, SessionError> {
        match self.runtime.block_on(async { tokio::time::timeout(LIMIT, reply).await }) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(SessionError::because(&from_client("querying PostgreSQL", &error))),
            Err(_) => Err(SessionError::timed_out()),
        }
    }
}

/// Checks that the server's socket exists. What is missing determines the repair.
fn require_socket(settings: &ServerSettings) -> Result<(), SessionError> {
    let directory = Path::new(&settings.host);
    let socket = directory.join(format!(".s.PGSQL.{}", settings.port));
    if !directory.exists() {
        return Err(SessionError::unreachable(
            Liveness::NoDirectory,
            &format!("{} does not exist", directory.display()),
        ));
    }
    match socket.try_exists() {
        Ok(false) => Err(SessionError::unreachable(
            Liveness::NotListening,
            &format!("{} does not exist", socket.display()),
        )),
        Ok(true) | Err(_) => Ok(()),
    }
}

impl SessionError {
    /// Returns the error of a server that is up.
    pub(super) fn busy(why: &str) -> Self {
        let sentence = format!("PostgreSQL cannot be checked: {why}");
        Self { liveness: Liveness::Busy, sentence, advice: "See: docker logs nexus-postgres" }
    }

    fn timed_out() -> Self {
        let sentence = format!("PostgreSQL does not answer within {} seconds.", LIMIT.as_secs());
        Self {
            liveness: Liveness::Unresponsive,
            sentence,
            advice: "See: docker logs nexus-postgres; systemctl status nexus-stack",
        }
    }

    fn unreachable(liveness: Liveness, why: &str) -> Self {
        let sentence = format!("PostgreSQL is not reachable: {why}");
        Self { liveness, sentence, advice: "See: systemctl status nexus-stack; docker ps --all" }
    }

    /// Distinguishes an error that the server reports from a failed connection.
    fn because(failure: &Failure) -> Self {
        let liveness = if is_from_server(failure) { Liveness::Busy } else { Liveness::NotListening };
        Self::of(liveness, failure)
    }

    fn of(liveness: Liveness, failure: &Failure) -> Self {
        let sentence = format!("PostgreSQL cannot be queried: {failure}");
        Self { liveness, sentence, advice: "See: docker logs nexus-postgres; systemctl status nexus-stack" }
    }

    /// Returns the finding. A server that is starting or stopping gets a minute before the finding counts.
    pub(super) fn finding(&self) -> Finding {
        let patience = if self.liveness == Liveness::Busy { 3 } else { 1 };
        Finding::critical("postgres", self.sentence.clone(), self.advice).patient(patience)
    }
}

/// Returns whether the server reported the error, which then has an SQLSTATE.
fn is_from_server(failure: &Failure) -> bool {
    failure.exit() != Exit::Unavailable || failure.to_string().contains("SQLSTATE")
}

#[cfg(test)]
mod tests {
    use nexus_postgres::failure::{from_server, unreachable};

    use super::*;

    #[test]
    fn a_refusal_is_busy_and_a_failed_connection_is_not_listening() {
        let starting = from_server("connecting", "57P03", "the database system is starting up");
        let full = from_server("connecting", "53300", "sorry, too many clients already");
        for failure in [starting, full] {
            assert_eq!(SessionError::because(&failure).liveness, Liveness::Busy, "{failure}");
        }
        let refused = unreachable("connecting", "Connection refused");
        assert_eq!(SessionError::because(&refused).liveness, Liveness::NotListening);
    }
}
