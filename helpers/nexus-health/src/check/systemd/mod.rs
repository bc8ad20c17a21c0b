//! systemd: failed units, timers that will not run, sockets without a listener, masked or stopped units, and whether
//! the stack is up.

mod ask;
pub(crate) mod sandbox;
mod sockets;
mod timers;

use std::time::Duration;

use crate::check::exposure::ports::{self, Listening};
use crate::check::postgres::in_words;
use crate::finding::Finding;
use crate::look::{Check, Ctx, Fact, Look, Stack, StackState};
use ask::Asked;

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

/// A first start may have to fetch images, and a server to replay its log. systemd ends a start after half an hour.
const LONG: Duration = Duration::from_secs(20 * 60);

/// Asks again each time.
pub(crate) struct Systemd;

impl Check for Systemd {
    fn look(&mut self, ctx: &Ctx) -> Look {
        let asked = match ask::ask() {
            Ok(asked) => asked,
            Err(error) => {
                let sentence = format!("systemd cannot be asked: {error}.");
                return Look::only(Finding::unknown("systemd", sentence, "See: systemctl status dbus"));
            }
        };
        let mut look = Look::only(Finding::ok("systemd", "systemd answers."));
        let is_wanted = asked.active("nexus.target") == Some("active");
        // Only where it matters: most of the time no socket has failed.
        let listening = if asked.failed_sockets.is_empty() {
            Listening::default()
        } else {
            ports::listening_now(&ctx.args)
        };
        look.found(failed(&asked));
        look.found(disabled(&asked));
        look.found(masked(&asked));
        look.found(timers::without_next_run(&asked, is_wanted));
        look.found(timers::late(&asked));
        look.found(timers::stopped(&asked, is_wanted));
        look.found(sockets::look(&asked, is_wanted, &listening));
        let state = match asked.active("nexus-stack.service") {
            Some("active") => StackState::Up,
            Some("activating" | "deactivating" | "reloading") => StackState::Changing,
            _ => StackState::Down,
        };
        look.found(stack(is_wanted, state, asked.starting));
        look.facts.push(Fact::Stack(Stack { is_wanted, state }));
        let can_mend = !timers::late_ones(&asked).is_empty() || sockets::can_start(&asked, &listening);
        look.facts.push(Fact::UnitsToStart(can_mend));
        look
    }
}

fn failed(asked: &Asked) -> Finding {
    let failed: Vec<&str> =
        asked.units.iter().filter(|unit| unit.active == "failed").map(|unit| unit.name.as_str()).collect();
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

/// `starting`: for a starting stack, how often systemd has tried again, and since when it starts.
fn stack(is_wanted: bool, state: StackState, starting: Option<(u32, Duration)>) -> Finding {
    let advice = "See why: journalctl -u nexus-stack -n 20; docker ps --all";
    match (is_wanted, state) {
        (_, StackState::Up) => Finding::ok("stack", "The stack is up."),
        (_, StackState::Changing) => match starting {
            // Once is usual: at boot Docker may start later.
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
            _ => Finding::ok("stack", "The stack is starting or stopping."),
        },
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
    use super::ask::Unit;
    use super::*;
    use crate::finding::Level;
    use zbus::zvariant::OwnedObjectPath;

    pub(super) fn asked(units: &[(&str, &str)], files: &[(&str, &str)]) -> Asked {
        let path = OwnedObjectPath::try_from("/x").unwrap();
        let unit = |(name, active): &(&str, &str)| Unit {
            name: (*name).to_owned(),
            active: (*active).to_owned(),
            path: path.clone(),
        };
        let file = |(name, state): &(&str, &str)| ((*name).to_owned(), (*state).to_owned());
        Asked {
            units: units.iter().map(unit).collect(),
            files: files.iter().map(file).collect(),
            ..Asked::default()
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
    fn a_stack_that_starts_for_ever_is_said() {
        let level = |tries, minutes: u64| {
            stack(true, StackState::Changing, Some((tries, Duration::from_secs(minutes * 60)))).level
        };
        assert_eq!((level(0, 1), level(1, 19), level(0, 20)), (Level::Ok, Level::Ok, Level::Warning));
        assert_eq!((level(2, 1), level(100, 60)), (Level::Critical, Level::Critical));
        assert_eq!(stack(true, StackState::Changing, None).level, Level::Ok);
    }
}
