//! Lists the stack's containers.

use std::sync::Arc;
use std::time::Duration;

use crate::command::stack;
use crate::error::RunError;
use crate::id::is_id;
use crate::peer::Peer;
use crate::run;

/// How long dockerd may take to answer, which it does from memory.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Prints one JSON object per container, each on a line.
///
/// # Errors
/// When docker fails, or repeatedly describes fewer containers than it lists.
pub fn list(peer: &Arc<Peer>) -> Result<(), RunError> {
    let mut result = Ok(());
    // A container may be removed between the two commands, for instance when Compose restarts it.
    for _ in 0..3 {
        let ids = stack_ids(&run::output(peer, &stack::list(), LIMIT)?)?;
        if ids.is_empty() {
            return Ok(());
        }
        match run::output(peer, &stack::describe(&ids), LIMIT) {
            Ok(lines) => {
                peer.print(lines.trim_end());
                return Ok(());
            }
            Err(error) => result = Err(error),
        }
    }
    result
}

/// The Compose project of the stack.
const PROJECT: &str = "nexus-memory-stack";

/// The project's name until 0.1.0. Other projects may have it too: only with one of these files is it the stack.
const FORMER_PROJECT: &str = "nexus";
const FILES: [&str; 2] =
    ["/usr/local/share/nexus/compose/docker-compose.yml", "/usr/share/nexus/compose/docker-compose.yml"];

/// Returns the ids of the stack's containers in the output of [`stack::list`]. It checks them, because they become arguments of
/// a command.
pub(crate) fn stack_ids(listed: &str) -> Result<Vec<String>, RunError> {
    let mut ids = Vec::new();
    for line in listed.lines() {
        let mut fields = line.splitn(3, '|');
        let (id, project, files) = (fields.next(), fields.next(), fields.next());
        let (Some(id), Some(project), Some(files)) = (id.filter(|id| is_id(id)), project, files) else {
            return Err(RunError::NotRun(
                "docker ps printed something that is not a container id".to_owned(),
            ));
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
    fn a_line_without_an_id_is_an_error() {
        let id = "0123456789abcdef".repeat(4);
        let line = |id: &str| format!("{id}|{PROJECT}|/x\n");
        assert_eq!(stack_ids(&format!("{}{}", line(&id), line(&id))).unwrap().len(), 2);
        assert_eq!(stack_ids("").unwrap().len(), 0);
        for bad in ["--help", "", "0123", &id.to_uppercase(), &format!("{id} --x")] {
            assert!(stack_ids(&line(bad)).is_err(), "{bad:?}");
        }
        assert!(stack_ids(&format!("{id}\n")).is_err());
    }

    #[test]
    fn containers_of_another_project_are_not_the_stacks() {
        let id = "0123456789abcdef".repeat(4);
        let of = |project: &str, files: &str| stack_ids(&format!("{id}|{project}|{files}")).unwrap().len();
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
