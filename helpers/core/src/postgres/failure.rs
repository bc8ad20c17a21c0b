//! What a server's error means for the job: which exit code, which advice.

use crate::failure::{Exit, Failure};

/// A failure from a server's message and SQLSTATE (PostgreSQL manual, appendix A).
///
/// Only the primary message is shown: DETAIL and CONTEXT may quote rows, which are private.
pub fn from_server(doing: impl Into<String>, sqlstate: &str, message: &str) -> Failure {
    let (exit, advice) = match sqlstate {
        "28P01" | "28000" => {
            (Exit::Permission, Some("Check NEXUS_PG_USER and the credential postgres_password"))
        }
        "42501" => {
            (Exit::Permission, Some("Let the role of NEXUS_PG_USER read every table (superuser is simplest)"))
        }
        "3D000" => (Exit::Settings, Some("Check NEXUS_PG_DATABASE in /etc/nexus/nexus.env")),
        "53100" => (Exit::CannotCreate, Some("The database server's disk is full: free some space")),
        "55P03" => (
            Exit::TryLater,
            Some(
                "Another session holds a lock: wait until its VACUUM FULL, ALTER TABLE or the like has ended and try again",
            ),
        ),
        "57P03" => (Exit::TryLater, Some("The server is starting or stopping; try again in a minute")),
        _ => (Exit::Unavailable, None),
    };
    let failure = Failure::new(exit, doing).because(format!("{message} (SQLSTATE {sqlstate})"));
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

/// A failure from tokio-postgres.
pub fn from_client(doing: impl Into<String>, error: &tokio_postgres::Error) -> Failure {
    if let Some(db) = error.as_db_error() {
        return from_server(doing, db.code().code(), db.message());
    }
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    unreachable(doing, cause)
}

/// A failure because the server does not answer or broke off.
pub fn unreachable(doing: impl Into<String>, cause: impl Into<String>) -> Failure {
    Failure::new(Exit::Unavailable, doing)
        .because(cause.into())
        .advise("Is the stack up? systemctl status nexus-stack; systemctl start nexus-stack")
}
