//! Whether the containers run the images that the settings name.

use std::fs;

use nexus_docker_client::protocol::Service;

use super::containers::{self, Container};
use crate::args::Args;
use crate::finding::Finding;

/// The shipped compose file, installed from source and from a package.
const COMPOSE: [&str; 2] =
    ["/usr/local/share/nexus/compose/docker-compose.yml", "/usr/share/nexus/compose/docker-compose.yml"];

/// The file in which the owner may choose other images.
const OVERRIDE: &str = "/etc/nexus/compose.override.yml";

/// Compares the running images with the settings.
pub(super) fn images(containers: &[Container], args: &Args) -> Finding {
    let compose = COMPOSE.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let overrides = fs::read_to_string(OVERRIDE).unwrap_or_default();
    let of = |setting: &Option<String>, name| setting.clone().or_else(|| default_of(&compose, name));
    let pinned = [
        (Service::Postgres, of(&args.postgres_image, "NEXUS_POSTGRES_IMAGE")),
        (Service::Redis, of(&args.redis_image, "NEXUS_REDIS_IMAGE")),
    ];
    compare(containers, &pinned, &overrides)
}

fn compare(containers: &[Container], pinned: &[(Service, Option<String>)], overrides: &str) -> Finding {
    let id = "images";
    if overrides.lines().any(|line| line.trim_start().starts_with("image:")) {
        return Finding::ok(id, format!("{OVERRIDE} chooses the images."));
    }
    let mut others = Vec::new();
    for (service, image) in pinned {
        if let (Some(image), Some(running)) = (image, containers::of(*service, containers))
            && running.image != *image
        {
            others.push(format!("{} runs {} instead of {image}", running.name, running.image));
        }
    }
    if others.is_empty() {
        return Finding::ok(id, "The containers run the images that the settings name.");
    }
    Finding::warning(
        id,
        format!("{}.", others.join("; ")),
        "Replace the containers: systemctl reload nexus-stack",
    )
}

/// Returns the default in `image: ${NAME:-default}`.
fn default_of(compose: &str, name: &str) -> Option<String> {
    let begin = format!("${{{name}:-");
    let rest = compose.split_once(&begin)?.1;
    rest.split_once('}').map(|(image, _)| image.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn the_images_are_found_in_the_shipped_compose_file() {
        let compose = include_str!("../../../../../compose/docker-compose.yml");
        assert!(default_of(compose, "NEXUS_POSTGRES_IMAGE").unwrap().starts_with("pgvector/pgvector:"));
        assert!(default_of(compose, "NEXUS_REDIS_IMAGE").unwrap().starts_with("redis:"));
        assert_eq!(default_of(compose, "NEXUS_OTHER_IMAGE"), None);
    }

    #[test]
    fn another_image_is_a_warning_unless_the_owner_chose_it() {
        let line = br#"{"name":"nexus-redis","image":"redis:7","image_id":"","state":"running","health":null,"restart_count":0}"#;
        let containers = containers::parse(line).unwrap();
        let level = |image: &str, overrides: &str| {
            compare(&containers, &[(Service::Redis, Some(image.to_owned()))], overrides).level
        };
        assert_eq!(level("redis:7", ""), FindingLevel::Ok);
        assert_eq!(level("redis:8", ""), FindingLevel::Warning);
        assert_eq!(level("redis:8", "services:\n  redis:\n    image: redis:7\n"), FindingLevel::Ok);
    }
}
