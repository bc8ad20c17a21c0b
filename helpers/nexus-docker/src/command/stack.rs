//! The command lines for the stack's containers, their images, and the daemon.

use nexus_docker_client::protocol::Service;

use super::argv::Argv;

/// Selects containers by the names that the compose file gives them. Docker prints only those: a foreign image
/// has labels of any content and length, but does not choose its container's name.
const NAMES: &str = "name=^nexus-(postgres|redis|exporter|prometheus|grafana|proxy)$";

/// Prints one object per container, on one line each. A container without a health check has health null.
const CONTAINER_FORMAT: &str = concat!(
    r#"{"name":{{json (slice .Name 1)}},"#,
    r#""project":{{json (index .Config.Labels "com.docker.compose.project")}},"#,
    r#""files":{{json (index .Config.Labels "com.docker.compose.project.config_files")}},"#,
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

/// Lists the ids of the containers that have a name of the stack, running or not. `containers` selects the stack's.
pub fn list() -> Argv {
    Argv::new("ps --all --no-trunc --quiet --filter").word(NAMES)
}

/// Describes containers by their ids.
pub fn describe(ids: &[String]) -> Argv {
    inspect(CONTAINER_FORMAT).all(ids)
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
    Argv::new("restart").word(service.container())
}

/// Restarts a service that does not respond. Docker sends the stop signal, so a server that still handles signals shuts down
/// properly, and kills it after ten seconds; both servers recover from that with all they had confirmed.
pub fn restart_hung(service: Service) -> Argv {
    Argv::new("restart -t 10").word(service.container())
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
