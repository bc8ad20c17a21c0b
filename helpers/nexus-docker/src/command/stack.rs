//! The command lines for the stack's containers, their images, and the daemon.

use nexus_docker_client::protocol::Service;

use super::argv::Argv;

/// Prints one container per line: its id, its project, and the project's files.
const LIST_FORMAT: &str = concat!(
    r#"{{.ID}}|{{.Label "com.docker.compose.project"}}|"#,
    r#"{{.Label "com.docker.compose.project.config_files"}}"#
);

/// Prints one object per container, on one line each. A container without a health check has health null.
const CONTAINER_FORMAT: &str = concat!(
    r#"{"name":{{json (slice .Name 1)}},"#,
    r#""service":{{json (index .Config.Labels "com.docker.compose.service")}},"#,
    r#""image":{{json .Config.Image}},"image_id":{{json .Image}},"#,
    r#""state":{{json .State.Status}},"#,
    r#""health":{{with .State.Health}}{{json .Status}}{{else}}null{{end}},"#,
    r#""restart_count":{{json .RestartCount}},"started_at":{{json .State.StartedAt}},"#,
    r#""mounts":{{json .Mounts}},"ports":{{json .HostConfig.PortBindings}}}"#,
);

/// Prints the daemon's version, warnings and data directory, in one object.
const DAEMON_FORMAT: &str = concat!(
    r#"{"version":{{json .ServerVersion}},"warnings":{{json .Warnings}},"#,
    r#""root":{{json .DockerRootDir}}}"#,
);

/// Returns the name that the compose file gives to a service's container.
pub fn container(service: Service) -> &'static str {
    match service {
        Service::Postgres => "nexus-postgres",
        Service::Redis => "nexus-redis",
    }
}

/// Lists Compose's containers, running or not; `containers::stack_ids` selects the stack's.
pub fn list() -> Argv {
    Argv::new("ps --all --no-trunc --filter label=com.docker.compose.project --format").word(LIST_FORMAT)
}

/// Describes containers by their ids.
pub fn describe(ids: &[String]) -> Argv {
    inspect(CONTAINER_FORMAT).all(ids)
}

/// Prints the names of the images that containers run, one per line.
pub fn images(ids: &[String]) -> Argv {
    inspect("{{.Config.Image}}").all(ids)
}

/// Prints the digest that an image's name refers to.
pub fn image_id(name: &str) -> Argv {
    Argv::new("image inspect --format {{.Id}} --").word(name)
}

/// Describes the daemon.
pub fn daemon() -> Argv {
    Argv::new("info --format").word(DAEMON_FORMAT)
}

/// Restarts a service. The compose file sets how long it may take to stop (`stop_grace_period`).
pub fn restart(service: Service) -> Argv {
    Argv::new("restart").word(container(service))
}

/// Restarts a service that does not respond. Docker sends the stop signal, so a server that still handles signals shuts down
/// properly, and kills it after ten seconds; both servers recover from that with all they had confirmed.
pub fn restart_hung(service: Service) -> Argv {
    Argv::new("restart -t 10").word(container(service))
}

pub(super) fn inspect(format: &str) -> Argv {
    Argv::new("inspect --type container --format").word(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_names_one_container() {
        assert_eq!(restart(Service::Redis)[..], ["restart", "nexus-redis"]);
        assert_eq!(restart_hung(Service::Postgres)[..], ["restart", "-t", "10", "nexus-postgres"]);
    }
}
