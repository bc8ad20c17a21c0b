//! What a server's error means for the job: which exit code, which advice.

use crate::failure::{Exit, Failure};

/// A failure from a server's message and SQLSTATE (PostgreSQL manual, appendix A).
///
/// Only the primary message is shown: DETAIL and CONTEXT may quote rows, which are private.
pub fn from_server(doing: &str, sqlstate: &str, message: &str) -> Failure {
    let (exit, advice) = match sqlstate {
        "28P01" | "28000" => {
            (Exit::Permission, Some("Check NEXUS_PG_USER and the credential postgres_password"))
        }
        "42501" => {
            (Exit::Permission, Some("Let the role of NEXUS_PG_USER read every table (superuser is simplest)"))
        }
        "3D000" => (Exit::Settings, Some("Check NEXUS_PG_DATABASE in /etc/nexus/nexus.env")),
        "53100" => (Exit::CannotCreate, Some("The database server's disk is full: free some space")),
        "57P03" => (Exit::TryLater, Some("The server is starting or stopping; try again in a minute")),
        _ => (Exit::Unavailable, None),
    };
    let failure = Failure::new(exit, doing).because(format!("{message} (SQLSTATE {sqlstate})"));
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

/// A failure from what a server says of rows that it was sent by COPY: when they are no rows of their table (class 22, data
/// exception; class 23, constraint violation; 08P01, a field that is too short), it is they that are wrong.
pub fn rows_refused(doing: &str, sqlstate: &str, message: &str) -> Failure {
    let of_the_rows = sqlstate.starts_with("22") || sqlstate.starts_with("23") || sqlstate == "08P01";
    if !of_the_rows {
        return from_server(doing, sqlstate, message);
    }
    Failure::new(Exit::Data, doing)
        .because(format!("the server does not take these rows: {message} (SQLSTATE {sqlstate})"))
}

/// A failure from tokio-postgres.
pub fn from_client(doing: impl Into<String>, error: &tokio_postgres::Error) -> Failure {
    if let Some(db) = error.as_db_error() {
        return from_server(&doing.into(), db.code().code(), db.message());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_none_of_their_table_are_damaged_data_and_a_full_disk_is_not() {
        for (sqlstate, exit) in [
            ("22P04", Exit::Data),
            ("22021", Exit::Data),
            ("23502", Exit::Data),
            ("08P01", Exit::Data),
            ("08006", Exit::Unavailable),
            ("53100", Exit::CannotCreate),
            ("57P01", Exit::Unavailable),
            ("", Exit::Unavailable),
        ] {
            assert_eq!(rows_refused("restoring a table", sqlstate, "no").exit(), exit, "{sqlstate}");
        }
    }
}
