//! Errors of PostgreSQL, and what they mean for a client.

use std::error::Error as _;

use axum::http::StatusCode;
use deadpool_postgres::PoolError;
use deadpool_postgres::tokio_postgres::Error;
use deadpool_postgres::tokio_postgres::error::{DbError as ServerError, SqlState};
use nexus_postgres::failure::is_busy;

use crate::error::ApiError;

/// Why a query failed.
#[derive(Debug)]
pub(crate) enum DbError {
    /// All connections stayed in use.
    Busy,
    /// PostgreSQL cannot be reached, or hangs.
    Down(String),
    /// The connection broke off. The transaction may have been committed.
    Broken(String),
    /// The reply has unexpected types or values.
    Unreadable(String),
    /// PostgreSQL refused a statement.
    Refused(Error),
}

impl DbError {
    /// Returns whether a retry over a new connection may succeed.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        // 57P01 to 57P03: the server is stopping, has crashed, or is starting. Class 08: the
        // connection.
        match error.code().map(SqlState::code) {
            // A value of an unexpected type: the connection works, and a retry gives the same.
            None if error.source().is_some_and(|source| !source.is::<std::io::Error>()) => {
                Self::Unreadable(error.to_string())
            }
            None => Self::Broken(error.to_string()),
            Some(code) if code.starts_with("57P") || code.starts_with("08") => {
                Self::Broken(error.to_string())
            }
            Some(_) => Self::Refused(error),
        }
    }
}

impl From<PoolError> for DbError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => Self::Busy,
            other => Self::Down(other.to_string()),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        let error = match error {
            DbError::Busy => {
                return Self::unavailable("busy", "All connections to the database are in use; try again.");
            }
            DbError::Down(why) => {
                log::warn!("PostgreSQL cannot be reached: {why}");
                return Self::unavailable(
                    "database_unavailable",
                    "The database cannot be reached; try again.",
                );
            }
            DbError::Broken(why) => {
                log::warn!("the connection to PostgreSQL broke off: {why}");
                return Self::unavailable(
                    "database_unavailable",
                    "The connection to the database broke off. The request may or may not have been carried out. \
                     A retry with an Idempotency-Key is safe.",
                );
            }
            DbError::Unreadable(why) => {
                log::error!("cannot read the reply of PostgreSQL: {why}");
                return Self::internal();
            }
            DbError::Refused(error) => error,
        };
        let code = error.code().map_or("", SqlState::code);
        match code {
            // query_canceled: statement_timeout.
            "57014" => Self::unavailable("timeout", "The database took too long; try again."),
            // Class 53: no memory, no disk, too many connections.
            _ if code.starts_with("53") => {
                log::error!("PostgreSQL is out of memory, disk space or connections (SQLSTATE {code})");
                Self::unavailable(
                    "database_full",
                    "The database has no space or connection left; try again later.",
                )
            }
            // Read-only, as after a failover or on a full disk.
            "25006" => {
                Self::unavailable("database_read_only", "The database accepts no writes; try again later.")
            }
            _ if is_busy(code) => {
                Self::unavailable("busy", "Another session blocks this request; try again.")
            }
            // Class 22: data. Requests are checked before, so this should not happen.
            _ if code.starts_with("22") => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "The database cannot store one of the values.",
            ),
            _ => {
                // Only the message, because details quote rows.
                let message = error.as_db_error().map_or("no message", ServerError::message);
                log::error!("PostgreSQL refuses a statement: {message} (SQLSTATE {code})");
                Self::internal()
            }
        }
    }
}
