//! The checks, one file or folder each, and how often each looks.

pub(crate) mod alerts;
pub(crate) mod api;
pub(crate) mod backups;
pub(crate) mod docker;
pub(crate) mod exposure;
pub(crate) mod forgetting;
pub(crate) mod machine;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod systemd;

use std::time::Duration;

use crate::look::{Check, DOCKER_SAYS};

/// A check, and how it is run.
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: &'static str,
    /// It looks at every so-manieth round.
    pub(crate) every: u32,
    /// Whether it looks at every round, and the rounds are short, while something is to be mended.
    pub(crate) is_urgent: bool,
    /// When it takes longer, it is said to hang.
    pub(crate) limit: Duration,
    /// The check itself; it is away while it looks.
    pub(crate) check: Option<Box<dyn Check>>,
}

/// All checks. What costs little, or tells of what must be mended soon, looks at every round; at the usual 30 seconds
/// 10 rounds are 5 minutes.
pub(crate) fn all() -> Vec<Group> {
    let group = |name, every, is_urgent, seconds, check| Group {
        name,
        every,
        is_urgent,
        limit: Duration::from_secs(seconds),
        check: Some(check),
    };
    vec![
        // In a single round it waits for Docker first.
        group("machine", 1, false, DOCKER_SAYS + 10, Box::<machine::Machine>::default()),
        group("postgres", 1, true, 12, Box::new(postgres::Postgres)),
        group("redis", 1, true, 12, Box::<redis::Redis>::default()),
        group("systemd", 1, true, 10, Box::new(systemd::Systemd)),
        group("api", 1, false, 10, Box::<api::Api>::default()),
        group("docker", 10, true, DOCKER_SAYS, Box::<docker::Docker>::default()),
        group("backups", 4, false, 20, Box::new(backups::Backups)),
        group("forgetting", 2, false, 10, Box::new(forgetting::Forgetting)),
        group("database", 20, false, 30, Box::new(postgres::database::Database)),
        group("exposure", 20, false, 30, Box::new(exposure::Exposure)),
        group("sandbox", 20, false, 10, Box::new(systemd::sandbox::Sandbox)),
        group("clock", 20, false, 10, Box::<machine::clock::Clock>::default()),
        group("alerts", 20, false, 10, Box::new(alerts::Alerts)),
    ]
}
