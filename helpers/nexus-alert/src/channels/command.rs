//! A program of the owner, which gets the alert as JSON on standard input: for channels that NEXUS does not have.

use std::path::PathBuf;
use std::str::FromStr;

use nexus_cli::failure::{Exit, OrFail, Result};

use super::subprocess::{RunAs, run};
use crate::alert::Alert;

/// A program and its arguments. No shell interprets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
}

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let path = words.next().filter(|path| path.starts_with('/'));
        let path =
            path.ok_or("not a program; expected a path that begins with /, and arguments".to_owned())?;
        Ok(Self { path: path.into(), arguments: words.collect() })
    }
}

impl Program {
    /// Runs the program and waits until it exits.
    ///
    /// # Errors
    /// Unavailable (69) when the program cannot be run or does not exit with 0.
    pub(crate) fn send(&self, alert: &Alert, run_as: &RunAs) -> Result<()> {
        let json = serde_json::to_vec(alert).or_fail(Exit::Software, || "writing JSON")?;
        run(&self.path, &self.arguments, &json, run_as)
            .map_err(|failure| failure.advise("Check NEXUS_ALERT_COMMAND in /etc/nexus/nexus.env"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_path_and_words() {
        let program: Program = "/usr/bin/tell  me now".parse().unwrap();
        assert_eq!(program.path, PathBuf::from("/usr/bin/tell"));
        assert_eq!(program.arguments, ["me", "now"]);
        assert!("tell me".parse::<Program>().is_err() && " ".parse::<Program>().is_err());
    }
}
