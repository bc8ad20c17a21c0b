//! The containers of the stack: their state, their published ports, and whether their data survives them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_cli::text::listed;
use nexus_docker_client::protocol::Service;
use serde::Deserialize;

use crate::finding::Finding;

/// The time over which restarts count.
const HOUR: Duration = Duration::from_secs(3600);

/// A container of the stack, as nexus-docker describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Container {
    /// The name, which tells the service. (Docker gives it to one container at a time.)
    pub(crate) name: String,
    /// The name of the image.
    pub(crate) image: String,
    /// The digest of the image.
    pub(crate) image_id: String,
    /// `running`, `exited`, `paused`, `restarting`, …
    pub(crate) state: String,
    /// `healthy`, `unhealthy`, `starting`; `None` without a health check.
    pub(crate) health: Option<String>,
    /// How often Docker has restarted it.
    pub(crate) restart_count: u64,
    /// The volumes and directories mounted in it.
    #[serde(default)]
    pub(crate) mounts: Vec<Mount>,
    /// The published addresses by port.
    #[serde(default)]
    pub(crate) ports: Option<BTreeMap<String, Option<Vec<Published>>>>,
}

/// A volume or directory mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Mount {
    /// `volume`, `bind`, `tmpfs`.
    #[serde(rename = "Type")]
    pub(crate) kind: String,
    /// The name of the volume.
    #[serde(default)]
    pub(crate) name: String,
    /// The path in the container.
    pub(crate) destination: String,
}

/// A published address of the host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Published {
    /// Empty means every address.
    #[serde(default)]
    pub(crate) host_ip: String,
    /// The port on the host.
    #[serde(default)]
    pub(crate) host_port: String,
}

/// Parses one object a line.
pub(super) fn parse(said: &[u8]) -> serde_json::Result<Vec<Container>> {
    said.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice).collect()
}

/// Returns the container of a service.
pub(crate) fn of(service: Service, containers: &[Container]) -> Option<&Container> {
    containers.iter().find(|container| container.name == service.container())
}

/// The containers that the memory needs.
fn of_memory() -> [&'static str; 2] {
    [Service::Postgres, Service::Redis].map(Service::container)
}

/// The proxy's container, and its unit.
const PROXY: &str = "nexus-proxy";

/// Reports containers that do not run. For the metrics and the proxy this is a warning, because the memory does not need them.
pub(super) fn states(containers: &[Container], wants_proxy: bool) -> Finding {
    let id = "containers";
    let is_there = |name: &str| containers.iter().any(|container| container.name == name);
    let wanted = of_memory().into_iter().chain(wants_proxy.then_some(PROXY));
    let missing = wanted.filter(|name| !is_there(name));
    let missing = missing.map(|name| (name, format!("{name} does not exist")));
    let wrong =
        containers.iter().filter_map(|container| Some((container.name.as_str(), problem(container)?)));
    let (mut of_stack, mut others, mut unit) = (Vec::new(), Vec::new(), "nexus-metrics");
    for (name, sentence) in missing.chain(wrong) {
        if name == PROXY {
            unit = PROXY;
        }
        if of_memory().contains(&name) { &mut of_stack } else { &mut others }.push(sentence);
    }
    let sentence = format!("{}.", listed(of_stack.iter().chain(&others)));
    let advice =
        |unit| format!("See: docker ps --all; start the containers: systemctl reload-or-restart {unit}");
    match (of_stack.is_empty(), others.is_empty()) {
        (true, true) => Finding::ok(id, "All containers run."),
        (true, false) => Finding::warning(id, sentence, advice(unit)),
        (false, _) => Finding::critical(id, sentence, advice("nexus-stack")),
    }
}

fn problem(container: &Container) -> Option<String> {
    let Container { name, state, health, .. } = container;
    match (state.as_str(), health.as_deref()) {
        ("running", Some("unhealthy")) => Some(format!("{name} is unhealthy")),
        ("running", _) => None,
        ("paused", _) => Some(format!("{name} is paused (docker unpause {name})")),
        (_, _) => Some(format!("{name} {}", container.state_in_words())),
    }
}

/// Reports published addresses that other machines can reach.
pub(super) fn published(containers: &[Container]) -> Finding {
    let id = "ports-published";
    let mut open = Vec::new();
    for container in containers {
        for published in container.published() {
            if !is_loopback(&published.host_ip) {
                let ip = if published.host_ip.is_empty() { "0.0.0.0" } else { &published.host_ip };
                open.push(format!("{ip}:{} ({})", published.host_port, container.name));
            }
        }
    }
    if open.is_empty() {
        return Finding::ok(id, "Docker publishes no port of the stack to others.");
    }
    Finding::critical(
        id,
        format!("Docker publishes ports of the stack to other machines: {}.", listed(&open)),
        "Write 127.0.0.1: before the port in /etc/nexus/compose.override.yml, then: systemctl reload nexus-stack; a \
         firewall such as ufw does not close such a port",
    )
}

fn is_loopback(address: &str) -> bool {
    address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Container {
    /// Returns whether Docker reports the container as running.
    pub(crate) fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// Returns the state with its verb: `has exited`, `is dead`.
    pub(crate) fn state_in_words(&self) -> String {
        match self.state.as_str() {
            "exited" => "has exited".to_owned(),
            "removing" => "is being removed".to_owned(),
            state => format!("is {state}"),
        }
    }

    /// Returns the published addresses.
    pub(super) fn published(&self) -> impl Iterator<Item = &Published> {
        self.ports.iter().flat_map(BTreeMap::values).flatten().flatten()
    }

    /// Reports whether `directory` of the service's server is on the named volume. Data in the container's own layer is lost with
    /// the container, and data in an anonymous volume with `docker compose down --volumes`.
    pub(super) fn on_its_volume(&self, service: Service, directory: &str) -> Finding {
        let id = format!("{}-volume", service.as_str());
        let wanted = format!("nexus_{}_data", service.as_str());
        let within = |mount: &&Mount| Path::new(directory).starts_with(&mount.destination);
        // The innermost mount that holds the directory.
        let mount = self.mounts.iter().filter(within).max_by_key(|mount| mount.destination.len());
        let server = &self.name;
        let where_it_is = match mount {
            Some(mount) if mount.kind == "volume" && mount.name == wanted => {
                return Finding::ok(id, format!("{server} keeps its data on the volume {wanted}."));
            }
            Some(mount) if mount.kind == "bind" => {
                return Finding::ok(id, format!("{server} keeps its data in a directory of the host."));
            }
            Some(mount) => format!("on {} {}", mount.kind, mount.name),
            None => "in the container itself".to_owned(),
        };
        Finding::critical(
            id,
            format!(
                "{server} keeps its data ({directory}) {where_it_is}: the data is lost with the container."
            ),
            "Take a backup now (systemctl start nexus-backup), then check the volumes in /etc/nexus/compose.override.yml",
        )
    }
}

/// Counts how often Docker has restarted containers.
#[derive(Default)]
pub(super) struct Restarts {
    /// The last count of each container. A new container counts from 0.
    last: BTreeMap<String, u64>,
    seen: Vec<(Instant, u64)>,
}

impl Restarts {
    /// Returns how often Docker has restarted `containers` in the last hour.
    pub(super) fn within_an_hour(&mut self, containers: &[Container]) -> u64 {
        let now = Instant::now();
        let mut new = 0;
        for container in containers {
            let count = container.restart_count;
            let before = self.last.insert(container.name.clone(), count);
            new += before.map_or(0, |before| if count >= before { count - before } else { count });
        }
        if new > 0 {
            self.seen.push((now, new));
        }
        self.seen.retain(|(at, _)| now.duration_since(*at) <= HOUR);
        self.seen.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    fn container(extra: &str) -> Container {
        let line = format!(
            r#"{{"name":"nexus-postgres","image":"i","image_id":"sha256:0","state":"running",
            "health":"healthy","restart_count":0,"started_at":"x"{extra}}}"#
        );
        serde_json::from_str(&line.replace('\n', "")).unwrap()
    }

    #[test]
    fn data_in_the_layer_of_the_container_is_critical() {
        let mounts = |kind: &str, name: &str, at: &str| {
            container(&format!(
                r#","mounts":[{{"Type":"{kind}","Name":"{name}","Destination":"{at}","RW":true}}]"#
            ))
        };
        let level = |container: Container| {
            container.on_its_volume(Service::Postgres, "/var/lib/postgresql/18/docker").level
        };
        assert_eq!(level(mounts("volume", "nexus_postgres_data", "/var/lib/postgresql")), FindingLevel::Ok);
        assert_eq!(level(mounts("volume", "0a1b", "/var/lib/postgresql")), FindingLevel::Critical);
        assert_eq!(
            level(mounts("volume", "nexus_postgres_data", "/var/lib/postgresql/data")),
            FindingLevel::Critical
        );
        assert_eq!(level(container("")), FindingLevel::Critical);
    }

    #[test]
    fn a_port_for_other_machines_is_critical_and_a_local_one_is_not() {
        let ports = |ip: &str| {
            published(&[container(&format!(
                r#","ports":{{"5432/tcp":[{{"HostIp":"{ip}","HostPort":"5432"}}],"80/tcp":null}}"#
            ))])
            .level
        };
        assert_eq!(ports("127.0.0.1"), FindingLevel::Ok);
        assert_eq!(ports("::1"), FindingLevel::Ok);
        assert_eq!(ports(""), FindingLevel::Critical);
        assert_eq!(ports("0.0.0.0"), FindingLevel::Critical);
        assert_eq!(published(&[container(r#","ports":null"#)]).level, FindingLevel::Ok);
    }

    #[test]
    fn a_missing_container_is_critical() {
        let finding = states(&[container("")], false);
        assert_eq!(finding.sentence, "nexus-redis does not exist.");
    }

    #[test]
    fn a_stopped_container_is_critical_in_the_stack_and_a_warning_elsewhere() {
        let named = |name: &str, state: &str| Container {
            name: name.to_owned(),
            state: state.to_owned(),
            ..container("")
        };
        let postgres = named("nexus-postgres", "running");
        let redis = |state| named("nexus-redis", state);
        let grafana = named("nexus-grafana", "exited");
        let finding = states(&[postgres.clone(), redis("running"), grafana.clone()], false);
        assert_eq!(finding.level, FindingLevel::Warning);
        assert_eq!(finding.sentence, "nexus-grafana has exited.");
        assert!(finding.advice.ends_with("nexus-metrics"));
        let finding = states(&[postgres.clone(), redis("exited"), grafana], false);
        assert_eq!(finding.level, FindingLevel::Critical);
        assert_eq!(finding.sentence, "nexus-redis has exited, nexus-grafana has exited.");
        let finding = states(&[postgres, redis("running")], true);
        assert_eq!((finding.level, finding.advice.ends_with("nexus-proxy")), (FindingLevel::Warning, true));
    }

    #[test]
    fn restarts_count_from_the_first_check() {
        let mut restarts = Restarts::default();
        let with = |restart_count| [Container { restart_count, ..container("") }];
        assert_eq!([5, 5, 7, 1].map(|count| restarts.within_an_hour(&with(count))), [0, 0, 2, 3]);
    }
}
