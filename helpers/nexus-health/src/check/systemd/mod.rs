//! systemd, over D-Bus (org.freedesktop.systemd1(5)); only read: units that failed, timers that will not run, sockets
//! that nobody listens on, units that are masked, and whether the stack is up.

use nexus_core::systemd::{MANAGER, proxy};
use zbus::blocking::Connection;
use zbus::zvariant::OwnedObjectPath;

use crate::finding::Finding;
use crate::look::{Check, Ctx, Fact, Look, Stack, StackState};

/// What must be enabled, or the machine loses something: backups, proofs, forgetting, or the way back after a boot.
const NEEDED: [&str; 6] = [
    "nexus-backup.timer",
    "nexus-docker.socket",
    "nexus-purge.timer",
    "nexus-restore-test.timer",
    "nexus-stack.service",
    "nexus.target",
];

/// Those of them that must run; others may have had their one run.
const TIMERS: [&str; 3] = ["nexus-backup.timer", "nexus-purge.timer", "nexus-restore-test.timer"];

/// A unit that is loaded: name, active state, object.
type Unit = (String, String, OwnedObjectPath);

/// A row of `ListUnitsByPatterns`.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// Asks anew each time: it is one connection for a moment, and none is held.
pub(crate) struct Systemd;

/// What systemd has said.
struct Asked {
    units: Vec<Unit>,
    /// Name and state of each unit file.
    files: Vec<(String, String)>,
    /// Timers that are active and have no next run.
    unscheduled: Vec<String>,
}

impl Check for Systemd {
    fn look(&mut self, _: &Ctx) -> Look {
        let asked = match ask() {
            Ok(asked) => asked,
            Err(error) => {
                let sentence = format!("systemd cannot be asked: {error}.");
                return Look::only(Finding::unknown("systemd", sentence, "See: systemctl status dbus"));
            }
        };
        let mut look = Look::only(Finding::ok("systemd", "systemd answers."));
        let is_wanted = asked.active("nexus.target") == Some("active");
        look.found(failed(&asked));
        look.found(disabled(&asked));
        look.found(masked(&asked));
        look.found(timers(&asked, is_wanted));
        look.found(sockets(&asked, is_wanted));
        let state = match asked.active("nexus-stack.service") {
            Some("active") => StackState::Up,
            Some("activating" | "deactivating" | "reloading") => StackState::Changing,
            _ => StackState::Down,
        };
        look.found(stack(is_wanted, state));
        look.facts.push(Fact::Stack(Stack { is_wanted, state }));
        look
    }
}

impl Asked {
    fn active(&self, name: &str) -> Option<&str> {
        self.units.iter().find(|unit| unit.0 == name).map(|unit| unit.1.as_str())
    }

    /// Names of the unit files in one of `states`.
    fn in_state(&self, states: &[&str]) -> impl Iterator<Item = &str> {
        let is_in = move |(name, state): &&(String, String)| {
            states.iter().any(|wanted| wanted == state).then_some(name).is_some()
        };
        let names: Vec<&str> = self.files.iter().filter(is_in).map(|(name, _)| name.as_str()).collect();
        names.into_iter()
    }
}

fn ask() -> zbus::Result<Asked> {
    let connection = Connection::system()?;
    let manager = proxy(&connection, MANAGER, "Manager")?;
    // Slices: an array of fixed length would go over the bus as a structure.
    let (states, patterns): (&[&str], &[&str]) = (&[], &["nexus-*", "nexus.*"]);
    let rows: Vec<Row> = manager.call("ListUnitsByPatterns", &(states, patterns))?;
    let units: Vec<Unit> = rows.into_iter().map(|row| (row.0, row.3, row.6)).collect();
    let files: Vec<(String, String)> = manager.call("ListUnitFilesByPatterns", &(states, patterns))?;
    let files = files
        .into_iter()
        .map(|(path, state)| (path.rsplit('/').next().unwrap_or_default().to_owned(), state))
        .collect();
    let mut unscheduled = Vec::new();
    for (name, state, path) in &units {
        if state == "active" && TIMERS.contains(&name.as_str()) {
            let timer = proxy(&connection, path.as_str(), "Timer")?;
            let next: u64 = timer.get_property("NextElapseUSecRealtime")?;
            // While its job runs a timer has no next run yet.
            let state: String = proxy(&connection, path.as_str(), "Unit")?.get_property("SubState")?;
            if (next == 0 || next == u64::MAX) && state != "running" {
                unscheduled.push(name.clone());
            }
        }
    }
    Ok(Asked { units, files, unscheduled })
}

fn failed(asked: &Asked) -> Finding {
    let failed: Vec<&str> =
        asked.units.iter().filter(|unit| unit.1 == "failed").map(|unit| unit.0.as_str()).collect();
    match failed.as_slice() {
        [] => Finding::ok("units-failed", "No unit of NEXUS has failed."),
        [first, ..] => Finding::critical(
            "units-failed",
            format!("Failed: {}.", failed.join(", ")),
            format!("See why: journalctl -u {first}; when it is mended: systemctl reset-failed {first}"),
        ),
    }
}

fn disabled(asked: &Asked) -> Finding {
    let disabled: Vec<&str> = asked.in_state(&["disabled"]).filter(|name| NEEDED.contains(name)).collect();
    match disabled.as_slice() {
        [] => Finding::ok("units-disabled", "All that must start by itself does."),
        names => Finding::warning(
            "units-disabled",
            format!("Disabled, so that it does not start by itself: {}.", names.join(", ")),
            format!("Enable it: systemctl enable --now {}", names.join(" ")),
        ),
    }
}

fn masked(asked: &Asked) -> Finding {
    let masked: Vec<&str> = asked.in_state(&["masked", "masked-runtime"]).collect();
    match masked.as_slice() {
        [] => Finding::ok("units-masked", "No unit of NEXUS is masked."),
        names => Finding::warning(
            "units-masked",
            format!("Masked, so that it cannot start: {}.", names.join(", ")),
            format!("Unmask it: systemctl unmask {}", names.join(" ")),
        ),
    }
}

fn timers(asked: &Asked, is_wanted: bool) -> Finding {
    let stopped = TIMERS.iter().filter(|name| is_wanted && asked.active(name) != Some("active"));
    let not_running: Vec<&str> =
        stopped.copied().chain(asked.unscheduled.iter().map(String::as_str)).collect();
    match not_running.as_slice() {
        [] => Finding::ok("timers", "Every timer has its next run."),
        names => Finding::warning(
            "timers",
            format!("No next run is scheduled: {}.", names.join(", ")),
            format!(
                "Start it: systemctl start {}; what is scheduled: systemctl list-timers 'nexus-*'",
                names.join(" ")
            ),
        )
        // An upgrade stops and starts them.
        .patient(2),
    }
}

/// Those that a person has turned off by `systemctl disable` are meant to be.
fn sockets(asked: &Asked, is_wanted: bool) -> Finding {
    let is_deaf =
        |name: &&str| is_wanted && name.ends_with(".socket") && asked.active(name) != Some("active");
    let deaf: Vec<&str> = asked.in_state(&["enabled"]).filter(is_deaf).collect();
    match deaf.as_slice() {
        [] => Finding::ok("sockets", "Every socket is listened on."),
        names => Finding::critical(
            "sockets",
            format!("Nobody listens on {}: who asks there is not answered.", names.join(", ")),
            format!("Start it: systemctl start {}; see: journalctl -u {}", names.join(" "), names[0]),
        )
        // An upgrade stops and starts them.
        .patient(2),
    }
}

fn stack(is_wanted: bool, state: StackState) -> Finding {
    match (is_wanted, state) {
        (_, StackState::Up) => Finding::ok("stack", "The stack is up."),
        (_, StackState::Changing) => Finding::ok("stack", "The stack is starting or stopping."),
        (true, StackState::Down) => {
            Finding::critical("stack", "The stack is down.", "Start it: systemctl start nexus-stack")
                .patient(2)
        }
        (false, StackState::Down) => Finding::warning(
            "stack",
            "The stack is down, and so is nexus.target.",
            "Start it: systemctl start nexus.target",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    fn asked(units: &[(&str, &str)], files: &[(&str, &str)]) -> Asked {
        let object = OwnedObjectPath::try_from("/x").unwrap();
        let pair = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        Asked {
            units: units.iter().map(pair).map(|(name, state)| (name, state, object.clone())).collect(),
            files: files.iter().map(pair).collect(),
            unscheduled: Vec::new(),
        }
    }

    #[test]
    fn a_disabled_timer_and_a_masked_unit_are_named_and_what_may_be_disabled_is_not() {
        let files = [
            ("nexus-backup.timer", "disabled"),
            ("nexus-caddy.service", "disabled"),
            ("nexus-purge.timer", "masked"),
        ];
        let asked = asked(&[], &files);
        assert!(disabled(&asked).sentence.ends_with(": nexus-backup.timer."));
        assert!(masked(&asked).sentence.ends_with(": nexus-purge.timer."));
    }

    #[test]
    fn a_socket_that_is_enabled_must_be_listened_on_and_one_that_a_person_turned_off_not() {
        let files = [("nexus-api.socket", "enabled"), ("nexus-embed.socket", "disabled")];
        let up = asked(&[("nexus-api.socket", "active")], &files);
        assert_eq!(sockets(&up, true).level, Level::Ok);
        for units in [&[("nexus-api.socket", "failed")][..], &[]] {
            let asked = asked(units, &files);
            assert!(sockets(&asked, true).sentence.contains("nexus-api.socket:"));
            assert_eq!(sockets(&asked, false).level, Level::Ok);
        }
    }

    #[test]
    fn timers_must_run_only_while_nexus_is_wanted() {
        let asked = asked(&[("nexus-backup.timer", "active"), ("nexus-purge.timer", "inactive")], &[]);
        assert_eq!(timers(&asked, false).level, Level::Ok);
        let finding = timers(&asked, true);
        assert!(
            finding.sentence.contains("nexus-purge.timer, nexus-restore-test.timer"),
            "{}",
            finding.sentence
        );
    }
}
