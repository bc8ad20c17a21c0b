//! Lists the stack's containers.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::command::stack;
use crate::error::RunError;
use crate::id::is_id;
use crate::peer::Peer;
use crate::run;

/// How long dockerd may take to answer, which it does from memory.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The Compose project of the stack.
const PROJECT: &str = "nexus-memory-stack";

/// The project's name until 0.1.0. Other projects may have it too: only with one of these files is it the stack.
const FORMER_PROJECT: &str = "nexus";
const FILES: [&str; 2] =
    ["/usr/local/share/nexus/compose/docker-compose.yml", "/usr/share/nexus/compose/docker-compose.yml"];

/// A container that has a name of the stack.
#[derive(Deserialize)]
struct Named {
    /// Its Compose project, if Compose made it.
    project: Option<String>,
    /// The files of that project, with commas between them.
    files: Option<String>,
    /// The name of its image.
    image: String,
}

/// A container of the stack.
pub(crate) struct Container {
    /// What [`stack::describe`] prints of it.
    pub(crate) line: String,
    /// The name of its image.
    pub(crate) image: String,
}

/// Prints one JSON object per container, each on a line.
///
/// # Errors
/// When docker fails, or repeatedly describes fewer containers than it lists.
pub fn list(peer: &Arc<Peer>) -> Result<(), RunError> {
    for container in of_stack(peer)? {
        peer.print(&container.line);
    }
    Ok(())
}

/// Returns the stack's containers.
///
/// # Errors
/// When docker fails, or repeatedly describes fewer containers than it lists.
pub(crate) fn of_stack(peer: &Arc<Peer>) -> Result<Vec<Container>, RunError> {
    let mut result = Ok(Vec::new());
    // A container may be removed between the two commands, for instance when Compose restarts it.
    for _ in 0..3 {
        let ids = ids(&run::output(peer, &stack::list(), LIMIT)?);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        match run::output(peer, &stack::describe(&ids), LIMIT) {
            Ok(described) => return select(&described),
            Err(error) => result = Err(error),
        }
    }
    result
}

/// Returns the ids in the output of [`stack::list`], which become arguments of a command. Skips lines that are none.
fn ids(listed: &str) -> Vec<String> {
    listed.lines().filter(|line| is_id(line)).map(str::to_owned).collect()
}

/// Returns the stack's containers in the output of [`stack::describe`].
fn select(described: &str) -> Result<Vec<Container>, RunError> {
    let mut containers = Vec::new();
    for line in described.lines() {
        let named: Named = serde_json::from_str(line)
            .map_err(|e| RunError::NotRun(format!("docker inspect printed something unexpected: {e}")))?;
        if named.is_of_stack() {
            containers.push(Container { line: line.to_owned(), image: named.image });
        }
    }
    Ok(containers)
}

impl Named {
    fn is_of_stack(&self) -> bool {
        let first_file = self.files.as_deref().and_then(|files| files.split(',').next());
        match self.project.as_deref() {
            Some(PROJECT) => true,
            Some(FORMER_PROJECT) => first_file.is_some_and(|file| FILES.contains(&file)),
            Some(_) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_id_is_skipped() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(ids(&format!("{id}\n{id}\n")).len(), 2);
        assert_eq!(ids("").len(), 0);
        for other in ["--help", "", "0123", "nexus-postgres", &id.to_uppercase(), &format!("{id} --x")] {
            assert_eq!(ids(&format!("{other}\n{id}\n{other}\n")), [id.as_str()], "{other:?}");
        }
    }

    #[test]
    fn containers_of_another_project_are_not_the_stacks() {
        let of = |project: &str, files: &str| {
            let line =
                serde_json::json!({"name": "nexus-redis", "project": project, "files": files, "image": "i"});
            select(&format!("{line}\n")).unwrap().len()
        };
        let unlabelled = r#"{"name":"nexus-redis","project":null,"files":null,"image":"i"}"#;
        assert!(select(unlabelled).unwrap().is_empty());
        assert_eq!(of("nexus-memory-stack", "/anything.yml"), 1);
        assert_eq!(
            of("nexus", "/usr/share/nexus/compose/docker-compose.yml,/etc/nexus/compose.override.yml"),
            1
        );
        assert_eq!(of("nexus", "/usr/local/share/nexus/compose/docker-compose.yml"), 1);
        assert_eq!(of("nexus", "/srv/nexus/docker-compose.yml"), 0);
        assert_eq!(of("nexus", "/srv/x.yml,/usr/share/nexus/compose/docker-compose.yml"), 0);
        assert_eq!(of("other", "/usr/share/nexus/compose/docker-compose.yml"), 0);
        assert_eq!(of("x\nnexus-memory-stack", ""), 0);
        assert_eq!(of("", ""), 0);
    }

    #[test]
    fn only_json_describes_a_container() {
        assert!(select("nexus-memory-stack\n").is_err());
        assert!(select("").unwrap().is_empty());
    }
}
