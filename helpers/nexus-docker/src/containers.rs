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
        let ids = of_stack(&run::output(asker, &command::listed(), LIMIT)?)?;
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

/// The Compose project of the stack.
const PROJECT: &str = "nexus-memory-stack";

/// Its name until 0.1.0, which other projects may have too: only with one of these files is it the stack.
const FORMER_PROJECT: &str = "nexus";
const FILES: [&str; 2] =
    ["/usr/local/share/nexus/compose/docker-compose.yml", "/usr/share/nexus/compose/docker-compose.yml"];

/// The ids of the stack's containers in the output of [`command::listed`]. It checks them, because they become arguments of a
/// command.
pub(crate) fn of_stack(listed: &str) -> Result<Vec<String>, Trouble> {
    let is_id = |id: &str| id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut ids = Vec::new();
    for line in listed.lines() {
        let mut fields = line.splitn(3, '|');
        let (id, project, files) = (fields.next(), fields.next(), fields.next());
        let (Some(id), Some(project), Some(files)) = (id.filter(|id| is_id(id)), project, files) else {
            return Err(Trouble::NotRun("docker ps listed something that is not a container id".to_owned()));
        };
        let first_file = files.split(',').next().unwrap_or_default();
        if project == PROJECT || (project == FORMER_PROJECT && FILES.contains(&first_file)) {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_ids() {
        let id = "0123456789abcdef".repeat(4);
        let line = |id: &str| format!("{id}|{PROJECT}|/x\n");
        assert_eq!(of_stack(&format!("{}{}", line(&id), line(&id))).unwrap().len(), 2);
        assert_eq!(of_stack("").unwrap().len(), 0);
        for bad in ["--help", "", "0123", &id.to_uppercase(), &format!("{id} --x")] {
            assert!(of_stack(&line(bad)).is_err(), "{bad:?}");
        }
        assert!(of_stack(&format!("{id}\n")).is_err());
    }

    #[test]
    fn containers_of_another_project_are_not_the_stacks() {
        let id = "0123456789abcdef".repeat(4);
        let of = |project: &str, files: &str| of_stack(&format!("{id}|{project}|{files}")).unwrap().len();
        assert_eq!(of("nexus-memory-stack", "/anything.yml"), 1);
        assert_eq!(
            of("nexus", "/usr/share/nexus/compose/docker-compose.yml,/etc/nexus/compose.override.yml"),
            1
        );
        assert_eq!(of("nexus", "/usr/local/share/nexus/compose/docker-compose.yml"), 1);
        assert_eq!(of("nexus", "/srv/nexus/docker-compose.yml"), 0);
        assert_eq!(of("nexus", "/srv/x.yml,/usr/share/nexus/compose/docker-compose.yml"), 0);
        assert_eq!(of("other", "/usr/share/nexus/compose/docker-compose.yml"), 0);
    }
}
