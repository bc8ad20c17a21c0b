//! Listing the containers of the stack, one JSON object a line.

use std::sync::Arc;
use std::time::Duration;

use crate::asker::Asker;
use crate::command;
use crate::run::{self, Trouble};

/// dockerd answers both questions from memory.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Sends the list to the asker. No container is no line.
///
/// # Errors
/// When docker cannot be asked, or again and again describes less than it lists.
pub fn list(asker: &Arc<Asker>) -> Result<(), Trouble> {
    let mut result = Ok(());
    // A container may be removed between the two questions, and a restart by Compose does just that.
    for _ in 0..3 {
        let ids = ids(&run::output(asker, &command::ids(), LIMIT)?)?;
        if ids.is_empty() {
            return Ok(());
        }
        match run::output(asker, &command::describe(&ids), LIMIT) {
            Ok(lines) => {
                let _ = asker.frame(b'o', lines.as_bytes());
                return Ok(());
            }
            Err(trouble) => result = Err(trouble),
        }
    }
    result
}

/// Docker's container ids, one a line. They go back onto a command line, so they are checked.
pub(crate) fn ids(listed: &str) -> Result<Vec<String>, Trouble> {
    let is_id = |id: &str| id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if listed.lines().all(is_id) {
        Ok(listed.lines().map(str::to_owned).collect())
    } else {
        Err(Trouble::NotRun("docker ps listed something that is no container id".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_ids() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(ids(&format!("{id}\n{id}\n")).unwrap().len(), 2);
        assert_eq!(ids("").unwrap().len(), 0);
        for bad in ["--help", "\n", "0123", &id.to_uppercase(), &format!("{id} --x")] {
            assert!(ids(bad).is_err(), "{bad:?}");
        }
    }
}
