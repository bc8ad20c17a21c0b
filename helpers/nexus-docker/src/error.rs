//! Why a `docker` command failed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why a command did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunError {
    /// It exited with this status, and its error messages went to the peer.
    Failed(i32),
    /// It was not run, for this reason.
    NotRun(String),
    /// The peer closed the connection.
    HungUp,
    /// It took longer than this.
    TimedOut(Duration),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(status) => write!(f, "exited with status {status}"),
            Self::NotRun(reason) => f.write_str(reason),
            Self::HungUp => f.write_str("the client closed the connection"),
            Self::TimedOut(limit) => write!(f, "not done within {} s", limit.as_secs()),
        }
    }
}

impl Error for RunError {}
