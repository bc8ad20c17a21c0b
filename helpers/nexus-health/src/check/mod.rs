//! The checks, one file or folder each, and how often each runs.

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

use nexus_problems::systemd::LIMIT;

use crate::context::{Check, DOCKER_LIMIT};

/// The limit in seconds of a check that asks over D-Bus, so that it can report that D-Bus does not reply.
const BUS_LIMIT: u64 = LIMIT.as_secs() + 2;

/// A check, and when it runs.
pub(crate) struct ScheduledCheck {
    /// The name of the check.
    pub(crate) name: &'static str,
    /// It runs in every nth round.
    pub(crate) every: u32,
    /// Whether it runs every few seconds while something needs a repair.
    pub(crate) is_urgent: bool,
    /// The time after which it counts as hanging.
    pub(crate) limit: Duration,
    /// The check; `None` while it runs.
    pub(crate) check: Option<Box<dyn Check>>,
}

/// Returns all checks. Cheap checks, and those that lead to repairs, run in every round. At the default interval of 30 seconds, 10
/// rounds are 5 minutes.
pub(crate) fn all() -> Vec<ScheduledCheck> {
    let scheduled = |name, every, is_urgent, seconds, check| ScheduledCheck {
        name,
        every,
        is_urgent,
        limit: Duration::from_secs(seconds),
        check: Some(check),
    };
    vec![
        // In a one-shot run it waits for Docker first.
        scheduled("machine", 1, false, DOCKER_LIMIT + 10, Box::<machine::Machine>::default()),
        scheduled("postgres", 1, true, 12, Box::new(postgres::Postgres)),
        scheduled("redis", 1, true, 12, Box::<redis::Redis>::default()),
        scheduled("systemd", 1, true, BUS_LIMIT, Box::new(systemd::Systemd)),
        scheduled("api", 1, false, 10, Box::<api::Api>::default()),
        scheduled("docker", 10, true, DOCKER_LIMIT, Box::<docker::Docker>::default()),
        scheduled("backups", 4, false, 20, Box::new(backups::Backups)),
        scheduled("forgetting", 2, false, 10, Box::new(forgetting::Forgetting)),
        scheduled("database", 20, false, 30, Box::new(postgres::database::Database)),
        scheduled("exposure", 20, false, 30, Box::new(exposure::Exposure)),
        scheduled("sandbox", 20, false, BUS_LIMIT, Box::new(systemd::sandbox::Sandbox)),
        scheduled("clock", 20, false, BUS_LIMIT, Box::<machine::clock::Clock>::default()),
        scheduled("alerts", 20, false, 10, Box::new(alerts::Alerts)),
    ]
}
