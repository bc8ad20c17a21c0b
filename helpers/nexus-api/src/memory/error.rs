//! What PostgreSQL's errors mean for a caller.

use std::error::Error as _;

use axum::http::StatusCode;
use deadpool_postgres::PoolError;
use deadpool_postgres::tokio_postgres::Error;
use deadpool_postgres::tokio_postgres::error::{DbError as ServerError, SqlState};
use nexus_postgres::failure::is_busy;

use crate::problem::Problem;

/// Why there is no answer from the database.
#[derive(Debug)]
pub(crate) enum DbError {
    /// All connections are in use, and stay so.
    Busy,
    /// It cannot be reached, or hangs.
    Down(String),
    /// The connection broke off. What was asked may have been done.
    Broken(String),
    /// What it answered is not what was expected of it.
    Unreadable(String),
    /// It said no.
    Refused(Error),
}

impl DbError {
    /// Whether asking again over a new connection may help.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        // 57P01 to 57P03: the server ends, has ended, or starts. Class 08: the connection.
        match error.code().map(SqlState::code) {
            // A value that is no such value: the connection is well, and asking again gives the same.
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

impl From<DbError> for Problem {
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
                    "The connection to the database broke off; what was asked may or may not have been done. \
                     A retry with an Idempotency-Key is safe.",
                );
            }
            DbError::Unreadable(why) => {
                log::error!("what PostgreSQL answered cannot be read: {why}");
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
                log::error!("PostgreSQL has run out of something (SQLSTATE {code})");
                Self::unavailable("database_full", "The database has no room or connection left; try later.")
            }
            // Read-only, as after a failover or on a full disk.
            "25006" => Self::unavailable("database_read_only", "The database takes no writes; try later."),
            _ if is_busy(code) => Self::unavailable("busy", "Another session is in the way; try again."),
            // Class 22: data. What a text or a number may be is checked before; this is the net below.
            _ if code.starts_with("22") => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "The database cannot store one of the values.",
            ),
            _ => {
                // The message alone: details quote rows.
                let message = error.as_db_error().map_or("no message", ServerError::message);
                log::error!("PostgreSQL refuses a statement: {message} (SQLSTATE {code})");
                Self::internal()
            }
        }
    }
}
