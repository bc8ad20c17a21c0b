//! Whether systemd gives our jobs the sandbox of their units. Images of container hosts have a drop-in for all services that
//! removes private networks and credentials (lxc/distrobuilder#985), and systemd ignores what a host does not support.

use nexus_cli::text::listed;
use nexus_problems::systemd::{MANAGER, ask, proxy};
use zbus::Connection;
use zbus::zvariant::OwnedObjectPath;

use crate::context::{Check, Context};
use crate::finding::Finding;
use crate::report::Report;

/// Jobs that hold rows or keys, each without a network.
const JOBS: [&str; 6] = [
    "nexus-api.service",
    "nexus-backup.service",
    "nexus-embed.service",
    "nexus-health.service",
    "nexus-purge.service",
    "nexus-restore-test.service",
];

/// The jobs that need a password or a key.
const WITH_CREDENTIALS: [&str; 5] = [
    "nexus-api.service",
    "nexus-backup.service",
    "nexus-health.service",
    "nexus-purge.service",
    "nexus-restore-test.service",
];

/// What systemd reports about a job.
#[derive(Clone, Debug)]
struct Job {
    name: &'static str,
    has_private_network: bool,
    has_credentials: bool,
}

/// Checks every job.
pub(crate) struct Sandbox;

impl Check for Sandbox {
    fn check(&mut self, _: &Context) -> Report {
        match ask(read) {
            Ok(jobs) => Report { findings: vec![network(&jobs), credentials(&jobs)], ..Report::default() },
            // Only this check's own finding: `check::systemd` reports that systemd does not answer.
            Err(error) => Report::only(Finding::unknown(
                "sandbox",
                format!("systemd cannot be queried about the sandbox of the jobs: {error}"),
                "See: systemctl status dbus",
            )),
        }
    }
}

async fn read(bus: &Connection) -> zbus::Result<Vec<Job>> {
    let manager = proxy(bus, MANAGER, "Manager").await?;
    let mut jobs = Vec::new();
    for name in JOBS {
        let path: OwnedObjectPath = manager.call("LoadUnit", &(name,)).await?;
        let state: String = proxy(bus, path.as_str(), "Unit").await?.get_property("LoadState").await?;
        // A machine may have only some of them.
        if state != "loaded" {
            continue;
        }
        let service = proxy(bus, path.as_str(), "Service").await?;
        let credentials: Vec<(String, String)> = service.get_property("LoadCredential").await?;
        jobs.push(Job {
            name,
            has_private_network: service.get_property("PrivateNetwork").await?,
            has_credentials: !credentials.is_empty(),
        });
    }
    Ok(jobs)
}

const ADVICE: &str = "See which file removes the protection or the credentials: systemctl cat nexus-backup; in a Proxmox or LXC \
                      container, allow nesting and remove the drop-in that applies to all services";

fn network(jobs: &[Job]) -> Finding {
    let open: Vec<&str> = jobs.iter().filter(|job| !job.has_private_network).map(|job| job.name).collect();
    if open.is_empty() {
        return Finding::ok("sandbox", "The jobs that hold rows or keys have no network.");
    }
    Finding::warning("sandbox", format!("These jobs can reach the network: {}.", listed(&open)), ADVICE)
}

fn credentials(jobs: &[Job]) -> Finding {
    let without = |job: &&Job| WITH_CREDENTIALS.contains(&job.name) && !job.has_credentials;
    let without: Vec<&str> = jobs.iter().filter(without).map(|job| job.name).collect();
    if without.is_empty() {
        return Finding::ok("credentials", "systemd provides the jobs with their credentials.");
    }
    Finding::critical(
        "credentials",
        format!("systemd provides no credentials (LoadCredential=) to: {}.", listed(&without)),
        ADVICE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn a_job_without_a_private_network_or_its_credentials_is_named() {
        let job =
            |name, has_private_network, has_credentials| Job { name, has_private_network, has_credentials };
        let well = [job("nexus-backup.service", true, true), job("nexus-embed.service", true, false)];
        assert_eq!((network(&well).level, credentials(&well).level), (FindingLevel::Ok, FindingLevel::Ok));
        let ill = [job("nexus-backup.service", false, false), job("nexus-embed.service", true, false)];
        assert!(network(&ill).sentence.ends_with(": nexus-backup.service."));
        assert!(credentials(&ill).sentence.ends_with("to: nexus-backup.service."));
    }

    /// Each shipped unit file has the settings that this check expects.
    #[test]
    fn the_shipped_units_have_the_expected_settings() {
        for name in JOBS {
            let unit = std::fs::read_to_string(format!("../../units/{name}")).unwrap();
            assert!(unit.lines().any(|line| line == "PrivateNetwork=yes"), "{name}");
            let has_credentials = unit.lines().any(|line| line.starts_with("LoadCredential="));
            assert_eq!(has_credentials, WITH_CREDENTIALS.contains(&name), "{name}");
        }
    }
}
