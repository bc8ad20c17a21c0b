//! The error of a helper: one line with the action, the cause and the remedy, and an exit code of
//! sysexits(3).

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::process::ExitCode;

use crate::text::printable;

/// Exit codes, from sysexits(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 64: the command line is wrong.
    Usage = 64,
    /// 65: stored data is damaged, or is not what it claims to be.
    Data = 65,
    /// 69: a service (PostgreSQL, Redis, nexus-docker) does not answer or closed the connection.
    Unavailable = 69,
    /// 70: a bug in the helper.
    Software = 70,
    /// 73: an output cannot be created, for instance on a full disk.
    CannotCreate = 73,
    /// 74: I/O failed.
    Io = 74,
    /// 75: another process holds a lock, or the helper was stopped; a later try may work.
    TryLater = 75,
    /// 77: not permitted.
    Permission = 77,
    /// 78: a setting is wrong.
    Settings = 78,
}

/// Why a helper failed. `Display` writes the one line that a person reads.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    doing: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    advice: Option<String>,
    refusal: Option<Box<Refusal>>,
}

/// The fields of a database server's error that quote no rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// SQLSTATE (PostgreSQL manual, appendix A).
    pub sqlstate: String,
    /// The message.
    pub message: String,
    /// Schema and name of the table that the error names.
    pub table: Option<(String, String)>,
    /// Name of the constraint or unique index.
    pub constraint: Option<String>,
    /// The columns or expressions of a key, without their values.
    pub key: Option<String>,
}

/// The `Result` of all helpers.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// Creates a failure of an action ("dumping table nexus.episode").
    pub fn new(exit: Exit, doing: impl Into<String>) -> Self {
        Self { exit, doing: doing.into(), cause: None, advice: None, refusal: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds the remedy: a sentence without a full stop.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds the fields of the server's error.
    #[must_use]
    pub fn refused_with(mut self, refusal: Refusal) -> Self {
        self.refusal = Some(Box::new(refusal));
        self
    }

    /// Returns the fields of the server's error, if a server refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
    }

    /// Puts a wider action before the action: "restoring set 42: reading …".
    #[must_use]
    pub fn while_doing(mut self, wider: impl fmt::Display) -> Self {
        self.doing = format!("{wider}: {}", self.doing);
        self
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the exit code for `main`.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.doing.clone();
        let mut cause = self.cause.as_deref().map(|c| c as &dyn Error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Many libraries repeat their source in their own text.
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        if let Some(advice) = &self.advice {
            let end = if line.ends_with(['.', '!', '?']) { " " } else { ". " };
            line.push_str(end);
            line.push_str(advice);
        }
        // A cause may contain a server's text with line feeds and control characters.
        f.write_str(&printable(&line.split_whitespace().collect::<Vec<_>>().join(" ")))
    }
}

impl Error for Failure {}

/// Carries a failure through code that only knows I/O errors, such as a reader. [`OrFailIo`]
/// unwraps it.
impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}

/// Adds context to another library's error.
pub trait OrFail<T> {
    /// Turns the error into a [`Failure`] with `exit`. Calls `doing` only on an error.
    fn or_fail<D: Into<String>>(self, exit: Exit, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail<D: Into<String>>(self, exit: Exit, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| Failure::new(exit, doing()).because(error))
    }
}

/// Adds context to an I/O error, choosing the exit code by its kind: 77 for permission, 73 for a
/// full disk, 74 otherwise. Unwraps an I/O error that carries a [`Failure`].
pub trait OrFailIo<T> {
    /// Turns the I/O error into a [`Failure`]. Calls `doing` only on an error.
    fn or_fail_io<D: Into<String>>(self, doing: impl FnOnce() -> D) -> Result<T>;

    /// Does the same, but returns `None` if the file does not exist.
    fn if_there<D: Into<String>>(self, doing: impl FnOnce() -> D) -> Result<Option<T>>;
}

impl<T> OrFailIo<T> for std::io::Result<T> {
    fn or_fail_io<D: Into<String>>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| {
            let error = match error.downcast::<Failure>() {
                Ok(carried) => return carried,
                Err(error) => error,
            };
            let (exit, advice) = match error.kind() {
                ErrorKind::PermissionDenied => (Exit::Permission, None),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    (Exit::CannotCreate, Some("Free some space there, then run the command again"))
                }
                ErrorKind::ReadOnlyFilesystem => (
                    Exit::CannotCreate,
                    Some(
                        "Mount the file system writable, or let the unit write there (ReadWritePaths=), then run the command again",
                    ),
                ),
                _ => (Exit::Io, None),
            };
            let failure = Failure::new(exit, doing()).because(error);
            match advice {
                Some(advice) => failure.advise(advice),
                None => failure,
            }
        })
    }

    fn if_there<D: Into<String>>(self, doing: impl FnOnce() -> D) -> Result<Option<T>> {
        match self {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.or_fail_io(doing).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_with_a_cause_of_two_lines_is_one_line() {
        let failure = Failure::new(Exit::Unavailable, "connecting to PostgreSQL at /run/nexus/postgres")
            .because("line one\nline two")
            .advise("Start it with: systemctl start nexus-stack");
        assert_eq!(
            failure.to_string(),
            "connecting to PostgreSQL at /run/nexus/postgres: line one line two. \
             Start it with: systemctl start nexus-stack"
        );
    }

    #[test]
    fn text_of_a_server_cannot_control_the_terminal() {
        let failure = Failure::new(Exit::Unavailable, "reading \"\u{1b}[2Jx\"")
            .because("\u{1b}]0;owned\u{7} \u{9b}31m\u{202e}")
            .advise("Look");
        assert_eq!(
            failure.to_string(),
            r#"reading "\u{1b}[2Jx": \u{1b}]0;owned\u{7} \u{9b}31m\u{202e}. Look"#
        );
    }

    #[test]
    fn a_full_disk_is_cannot_create_and_says_to_free_space() {
        let full = std::io::Error::from_raw_os_error(28);
        let failure = Err::<(), _>(full).or_fail_io(|| "writing x").unwrap_err();
        assert_eq!(failure.exit(), Exit::CannotCreate);
        assert!(failure.to_string().contains("Free some space"));
    }

    #[test]
    fn a_failure_carried_by_an_io_error_is_unwrapped() {
        let error = std::io::Error::from(Failure::new(Exit::TryLater, "stopped by a signal"));
        let failure = Err::<(), _>(error).or_fail_io(|| "reading x").unwrap_err();
        assert_eq!((failure.exit(), failure.to_string().as_str()), (Exit::TryLater, "stopped by a signal"));
    }
}
