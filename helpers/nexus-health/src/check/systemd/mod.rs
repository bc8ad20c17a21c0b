//! systemd: failed units, timers that will not run, sockets without a listener, masked or stopped units, and whether
//! the stack is up.

pub(crate) mod sandbox;
mod snapshot;
mod sockets;
mod timers;

use std::time::Duration;

use nexus_cli::text::listed;
use nexus_problems::systemd::ask;

use crate::check::exposure::ports::{self, Listening};
use crate::check::postgres::in_words;
use crate::context::{Check, Context};
use crate::finding::Finding;
use crate::report::{Fact, Report, Stack, StackState};
use snapshot::UnitSnapshot;

/// Units that must be enabled: without them the machine has no backups, proofs or purges, or does not start after a
/// boot.
const NEEDED: [&str; 6] = [
    "nexus-backup.timer",
    "nexus-docker.socket",
    "nexus-purge.timer",
    "nexus-restore-test.timer",
    "nexus-stack.service",
    "nexus.target",
];

/// A first start may have to pull images, and a server may have to replay its log. systemd ends a start after half an hour.
const LONG: Duration = Duration::from_secs(20 * 60);

/// Reads a new snapshot in every run.
pub(crate) struct Systemd;

impl Check for Systemd {
    fn check(&mut self, ctx: &Context) -> Report {
        let snapshot = match ask(snapshot::read) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let sentence = format!("systemd cannot be queried: {error}");
                return Report::only(Finding::unknown("systemd", sentence, "See: systemctl status dbus"));
            }
        };
        let mut report = Report::only(Finding::ok("systemd", "systemd answers."));
        let is_wanted = snapshot.active("nexus.target") == Some("active");
        // Most of the time no socket has failed.
        let listening = if snapshot.failed_sockets.is_empty() {
            Listening::default()
        } else {
            ports::listening_now(&ctx.args, |listener| sockets::is_in_the_way(&snapshot, listener))
        };
        report.found(failed(&snapshot));
        report.found(disabled(&snapshot));
        report.found(masked(&snapshot));
        report.found(timers::without_next_run(&snapshot, is_wanted));
        report.found(timers::late(&snapshot));
        report.found(timers::stopped(&snapshot, is_wanted));
        report.found(sockets::check(&snapshot, is_wanted, &listening));
        let state = match snapshot.active("nexus-stack.service") {
            Some("active") => StackState::Up,
            Some("activating" | "deactivating" | "reloading") => StackState::Changing,
            _ => StackState::Down,
        };
        report.found(stack(is_wanted, state, snapshot.starting));
        report.facts.push(Fact::Stack(Stack { is_wanted, state }));
        let can_start = !timers::late_ones(&snapshot).is_empty() || sockets::can_start(&snapshot, &listening);
        report.facts.push(Fact::UnitsToStart(can_start));
        report
    }
}

fn failed(snapshot: &UnitSnapshot) -> Finding {
    let failed: Vec<&str> =
        snapshot.units.iter().filter(|unit| unit.active == "failed").map(|unit| unit.name.as_str()).collect();
    match failed.as_slice() {
        [] => Finding::ok("units-failed", "No unit of NEXUS has failed."),
        [first, ..] => Finding::critical(
            "units-failed",
            format!("These units have failed: {}.", listed(&failed)),
            format!(
                "See why: journalctl -u {first}; when the cause is fixed: systemctl reset-failed {first}"
            ),
        ),
    }
}

fn disabled(snapshot: &UnitSnapshot) -> Finding {
    let disabled: Vec<&str> = snapshot.in_state(&["disabled"]).filter(|name| NEEDED.contains(name)).collect();
    match disabled.as_slice() {
        [] => Finding::ok("units-disabled", "All required units are enabled."),
        names => Finding::warning(
            "units-disabled",
            format!("These units are disabled, so they do not start at boot: {}.", listed(names)),
            format!("Enable the units: systemctl enable --now {}", names.join(" ")),
        ),
    }
}

fn masked(snapshot: &UnitSnapshot) -> Finding {
    let masked: Vec<&str> = snapshot.in_state(&["masked", "masked-runtime"]).collect();
    match masked.as_slice() {
        [] => Finding::ok("units-masked", "No unit of NEXUS is masked."),
        names => Finding::warning(
            "units-masked",
            format!("These units are masked, so they cannot start: {}.", listed(names)),
            format!("Unmask the units: systemctl unmask {}", names.join(" ")),
        ),
    }
}

/// Reports whether the stack is up. `starting` is how often systemd has retried, and for how long the stack has been starting.
fn stack(is_wanted: bool, state: StackState, starting: Option<(u32, Duration)>) -> Finding {
    let advice = "See why: journalctl -u nexus-stack -n 20; docker ps --all";
    match (is_wanted, state) {
        (_, StackState::Up) => Finding::ok("stack", "The stack is up."),
        (_, StackState::Changing) => match starting {
            // One retry is usual: at boot Docker may start later.
            Some((tries @ 2.., _)) => Finding::critical(
                "stack",
                format!("The stack does not start: systemd has tried again {tries} times."),
                advice,
            )
            .patient(2),
            Some((_, since)) if since >= LONG => Finding::warning(
                "stack",
                format!("The stack has been starting for {}.", in_words(since.as_secs_f64())),
                advice,
            ),
            Some(_) | None => Finding::ok("stack", "The stack is starting or stopping."),
        },
        (true, StackState::Down) => {
            Finding::critical("stack", "The stack is down.", "Start the stack: systemctl start nexus-stack")
                .patient(2)
        }
        (false, StackState::Down) => Finding::warning(
            "stack",
            "The stack is down, and so is nexus.target.",
            "Start NEXUS: systemctl start nexus.target",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::snapshot::Unit;
    use super::*;
    use crate::level::FindingLevel;
    use zbus::zvariant::OwnedObjectPath;

    pub(super) fn snapshot_of(units: &[(&str, &str)], files: &[(&str, &str)]) -> UnitSnapshot {
        let path = OwnedObjectPath::try_from("/x").unwrap();
        let unit = |(name, active): &(&str, &str)| Unit {
            name: (*name).to_owned(),
            active: (*active).to_owned(),
            path: path.clone(),
        };
        let file = |(name, state): &(&str, &str)| ((*name).to_owned(), (*state).to_owned());
        UnitSnapshot {
            units: units.iter().map(unit).collect(),
            files: files.iter().map(file).collect(),
            ..UnitSnapshot::default()
        }
    }

    #[test]
    fn a_disabled_timer_and_a_masked_unit_are_named_and_what_may_be_disabled_is_not() {
        let files = [
            ("nexus-backup.timer", "disabled"),
            ("nexus-caddy.service", "disabled"),
            ("nexus-purge.timer", "masked"),
        ];
        let snapshot = snapshot_of(&[], &files);
        assert!(disabled(&snapshot).sentence.ends_with(": nexus-backup.timer."));
        assert!(masked(&snapshot).sentence.ends_with(": nexus-purge.timer."));
    }

    #[test]
    fn a_stack_that_never_finishes_starting_is_reported() {
        let level = |tries, minutes: u64| {
            stack(true, StackState::Changing, Some((tries, Duration::from_secs(minutes * 60)))).level
        };
        assert_eq!(
            (level(0, 1), level(1, 19), level(0, 20)),
            (FindingLevel::Ok, FindingLevel::Ok, FindingLevel::Warning)
        );
        assert_eq!((level(2, 1), level(100, 60)), (FindingLevel::Critical, FindingLevel::Critical));
        assert_eq!(stack(true, StackState::Changing, None).level, FindingLevel::Ok);
    }
}
