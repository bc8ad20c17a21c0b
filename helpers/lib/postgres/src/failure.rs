//! Turns errors of the server into failures with an exit code and advice.

use nexus_cli::failure::{Exit, Failure, Refusal};

/// Returns whether other sessions caused the error, so that another try may succeed:
/// serialization_failure, deadlock_detected or lock_not_available.
pub fn is_busy(sqlstate: &str) -> bool {
    matches!(sqlstate, "40001" | "40P01" | "55P03")
}

/// Makes a failure from a server's message and SQLSTATE (PostgreSQL manual, appendix A).
///
/// It contains only the primary message: DETAIL and CONTEXT may quote rows, which are private.
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
        _ if is_busy(sqlstate) => (
            Exit::TryLater,
            Some(
                "Another session holds a lock: wait until its VACUUM FULL, ALTER TABLE or the like has ended, then try again",
            ),
        ),
        "57P03" => (Exit::TryLater, Some("The server is starting or stopping; try again in a minute")),
        _ => (Exit::Unavailable, None),
    };
    let refusal =
        Refusal { sqlstate: sqlstate.to_owned(), message: message.to_owned(), ..Refusal::default() };
    let failure =
        Failure::new(exit, doing).because(format!("{message} (SQLSTATE {sqlstate})")).refused_with(refusal);
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

/// Makes a failure from an error of tokio-postgres.
pub fn from_client(doing: impl Into<String>, error: &tokio_postgres::Error) -> Failure {
    if let Some(db) = error.as_db_error() {
        let failure = from_server(doing, db.code().code(), db.message());
        return failure.refused_with(Refusal {
            sqlstate: db.code().code().to_owned(),
            message: db.message().to_owned(),
            table: db.schema().map(str::to_owned).zip(db.table().map(str::to_owned)),
            constraint: db.constraint().map(str::to_owned),
            key: db.detail().and_then(key_in),
        });
    }
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    unreachable(doing, cause)
}

/// Returns the columns of `Key (a, lower(b))=(…) …`, with which DETAIL begins for constraints, in
/// any language.
pub(super) fn key_in(detail: &str) -> Option<String> {
    let key = &detail[detail.find('(')? + 1..];
    key.find(")=(").map(|end| key[..end].to_owned())
}

/// Makes a failure for a server that does not answer or closed the connection.
pub fn unreachable(doing: impl Into<String>, cause: impl Into<String>) -> Failure {
    Failure::new(Exit::Unavailable, doing)
        .because(cause.into())
        .advise("Is the stack up? systemctl status nexus-stack; systemctl start nexus-stack")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_caused_by_other_sessions_are_try_later() {
        for sqlstate in ["40001", "40P01", "55P03"] {
            assert_eq!(from_server("locking", sqlstate, "busy").exit(), Exit::TryLater, "{sqlstate}");
        }
        assert_eq!(from_server("locking", "XX000", "broken").exit(), Exit::Unavailable);
    }

    #[test]
    fn a_key_has_its_columns_and_no_values() {
        assert_eq!(key_in("Key (id)=(1) is duplicated."), Some("id".to_owned()));
        assert_eq!(
            key_in("Schlüssel »(a, lower(b))=(1, (x)=(y))« ist doppelt."),
            Some("a, lower(b)".to_owned())
        );
        assert_eq!(key_in("Failing row contains (1, secret)."), None);
        assert_eq!(key_in("nothing"), None);
    }
}
