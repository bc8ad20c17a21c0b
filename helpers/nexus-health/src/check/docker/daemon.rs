//! Docker itself: a version with a known exposure, an API on the network, replaced images, leftovers.

use nexus_cli::text::listed;
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::{Daemon, Request};

use super::LONGEST;
use super::containers::Container;
use crate::context::Context;
use crate::finding::Finding;
use crate::report::{Fact, Report};

/// Older versions let the same network reach ports published on 127.0.0.1 (moby#45610).
const LOOPBACK_IS_CLOSED: u32 = 28;

pub(super) fn check(client: &Client, containers: &[Container], ctx: &Context, report: &mut Report) {
    let reply = client
        .collect(&Request::Daemon {}, LONGEST)
        .map_err(|failure| failure.to_string())
        .and_then(|text| serde_json::from_slice::<Daemon>(&text).map_err(|error| error.to_string()));
    let daemon = match reply {
        Ok(daemon) => daemon,
        Err(why) => {
            ctx.note_docker(None);
            let sentence = format!("Docker does not report its version and settings: {why}");
            report.found(Finding::unknown(
                "docker-exposure",
                sentence,
                "See: journalctl -u 'nexus-docker@*'",
            ));
            return;
        }
    };
    ctx.note_docker(Some(daemon.root.clone()).filter(|root| !root.as_os_str().is_empty()));
    let publishes = containers.iter().any(|container| container.published().next().is_some());
    report.found(exposure(&daemon, publishes));
    report.found(replaced(&daemon, containers));
    report.facts.push(Fact::Scratch(daemon.scratch));
}

fn exposure(daemon: &Daemon, publishes: bool) -> Finding {
    let id = "docker-exposure";
    if daemon.warnings.iter().any(|warning| warning.contains("API is accessible")) {
        return Finding::critical(
            id,
            "Docker's API is open on the network, and gives root on this machine to anyone there.",
            "Remove -H tcp://… from the options of the Docker daemon, then: systemctl restart docker",
        );
    }
    let version = &daemon.version;
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0);
    if publishes && major < LOOPBACK_IS_CLOSED {
        return Finding::warning(
            id,
            format!("Docker {version} lets others on the same network reach ports published on 127.0.0.1."),
            "Upgrade Docker to 28, or take the ports out of /etc/nexus/compose.override.yml (moby#45610), then: systemctl reload \
             nexus-stack",
        );
    }
    Finding::ok(id, format!("Docker {version} exposes nothing of the stack."))
}

/// Reports running images whose tag now names another image, because it was pulled again.
fn replaced(daemon: &Daemon, containers: &[Container]) -> Finding {
    let id = "images-replaced";
    let others: Vec<&str> = containers
        .iter()
        .filter(|container| daemon.images.get(&container.image).is_some_and(|now| *now != container.image_id))
        .map(|container| container.name.as_str())
        .collect();
    if others.is_empty() {
        return Finding::ok(id, "No image has been replaced since its container started.");
    }
    Finding::warning(
        id,
        format!(
            "These containers run an image that has been replaced by another of the same name: {}.",
            listed(&others)
        ),
        "Replace the containers when convenient: systemctl reload nexus-stack",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn an_old_docker_matters_only_with_published_ports() {
        let daemon = |version: &str, warning: &str| Daemon {
            version: version.to_owned(),
            warnings: vec![warning.to_owned()],
            images: std::collections::BTreeMap::new(),
            scratch: 0,
            root: std::path::PathBuf::new(),
        };
        assert_eq!(exposure(&daemon("26.1.5+dfsg1", ""), false).level, FindingLevel::Ok);
        assert_eq!(exposure(&daemon("26.1.5+dfsg1", ""), true).level, FindingLevel::Warning);
        assert_eq!(exposure(&daemon("28.0.1", ""), true).level, FindingLevel::Ok);
        let open = "WARNING: API is accessible on http://0.0.0.0:2375 without encryption.";
        assert_eq!(exposure(&daemon("29.0.0", open), false).level, FindingLevel::Critical);
    }
}
