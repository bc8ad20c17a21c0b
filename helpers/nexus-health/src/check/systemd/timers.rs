//! Timers: whether they run, whether their next run matches their calendar, and which of them were stopped by hand.

use std::time::Duration;

use nexus_cli::text::listed;

use super::snapshot::{CALENDARS, UnitSnapshot};
use crate::check::postgres::in_words;
use crate::finding::Finding;

/// The timers that must run.
const NEEDED: [&str; 3] = ["nexus-backup.timer", "nexus-purge.timer", "nexus-restore-test.timer"];

/// This timer runs once soon after the installation, and never after the first proof.
const ONCE: &str = "nexus-first-proof.timer";

pub(super) fn without_next_run(snapshot: &UnitSnapshot, is_wanted: bool) -> Finding {
    let stopped = NEEDED.iter().filter(|name| is_wanted && snapshot.active(name) != Some("active"));
    let unscheduled = snapshot.next.iter().filter(|(_, next)| next.is_none()).map(|(name, _)| name.as_str());
    let names: Vec<&str> = stopped.copied().chain(unscheduled).collect();
    match names.as_slice() {
        [] => Finding::ok("timers", "Every timer has a next run."),
        names => Finding::warning(
            "timers",
            format!("These timers have no next run: {}.", listed(names)),
            format!(
                "Start the timers: systemctl start {}; see what is scheduled: systemctl list-timers 'nexus-*'",
                names.join(" ")
            ),
        )
        // An upgrade stops and starts them.
        .patient(2),
    }
}

/// Returns the timers whose next run is later than their calendar allows, and the time until it.
pub(super) fn late_ones(snapshot: &UnitSnapshot) -> Vec<(&str, Duration)> {
    let is_late = |(name, next): &(&str, Duration)| {
        CALENDARS.iter().any(|(timer, longest)| timer == name && next > longest)
    };
    let known = snapshot.next.iter().filter_map(|(name, next)| Some((name.as_str(), (*next)?)));
    known.filter(is_late).collect()
}

pub(super) fn late(snapshot: &UnitSnapshot) -> Finding {
    let late = late_ones(snapshot);
    if late.is_empty() {
        return Finding::ok("timers-late", "No timer's next run is later than its calendar allows.");
    }
    let names: Vec<&str> = late.iter().map(|(name, _)| *name).collect();
    let each = late.iter().map(|(name, next)| format!("{name} in {}", in_words(next.as_secs_f64())));
    Finding::warning(
        "timers-late",
        format!("A timer's next run is later than its calendar allows: {}.", listed(each)),
        format!(
            "Restart the timers: systemctl restart {}; if that does not help, see their calendar: systemctl cat {}",
            names.join(" "),
            names[0]
        ),
    )
}

/// Reports enabled units that were stopped by hand or by an interrupted upgrade. Sockets, and the timers that
/// [`without_next_run`] names, are separate findings.
pub(super) fn stopped(snapshot: &UnitSnapshot, is_wanted: bool) -> Finding {
    let id = "units-stopped";
    let is_job = |name: &&str| {
        let is_kind = [".timer", ".path"].iter().any(|kind| name.ends_with(kind));
        (is_kind || *name == "nexus-health.service") && *name != ONCE && !NEEDED.contains(name)
    };
    let is_stopped = |name: &&str| is_wanted && matches!(snapshot.active(name), None | Some("inactive"));
    let stopped: Vec<&str> = snapshot.in_state(&["enabled"]).filter(is_job).filter(is_stopped).collect();
    if stopped.is_empty() {
        return Finding::ok(id, "Nothing that should run was stopped.");
    }
    Finding::warning(
        id,
        format!("These units are stopped, though nexus.target is up: {}.", listed(&stopped)),
        "Start all units of NEXUS: systemctl start nexus.target; to keep a unit down: systemctl disable UNIT",
    )
    // An upgrade stops and starts them.
    .patient(6)
}

#[cfg(test)]
mod tests {
    use super::super::tests::snapshot_of;
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn timers_must_run_only_while_nexus_is_wanted() {
        let snapshot =
            snapshot_of(&[("nexus-backup.timer", "active"), ("nexus-purge.timer", "inactive")], &[]);
        assert_eq!(without_next_run(&snapshot, false).level, FindingLevel::Ok);
        let sentence = without_next_run(&snapshot, true).sentence;
        assert!(sentence.contains("nexus-purge.timer, nexus-restore-test.timer"), "{sentence}");
    }

    #[test]
    fn a_next_run_after_two_days_is_late_and_of_the_monthly_ones_after_forty() {
        let mut snapshot = snapshot_of(&[], &[]);
        let mut finding = |name: &str, hours: u64| {
            snapshot.next = vec![(name.to_owned(), Some(Duration::from_secs(hours * 3600)))];
            late(&snapshot)
        };
        assert_eq!(finding("nexus-backup.timer", 47).level, FindingLevel::Ok);
        assert_eq!(finding("nexus-restore-test.timer", 35 * 24).level, FindingLevel::Ok);
        assert_eq!(finding("nexus-restore-test.timer", 41 * 24).level, FindingLevel::Warning);
        let finding = finding("nexus-backup.timer", 8 * 366 * 24);
        assert!(finding.sentence.contains("nexus-backup.timer in 8 years"), "{}", finding.sentence);
        assert!(finding.advice.contains("systemctl restart nexus-backup.timer"));
    }

    #[test]
    fn an_enabled_and_stopped_unit_is_named_once() {
        let files = [
            ("nexus-alert-retry.timer", "enabled"),
            ("nexus-alert-health.path", "enabled"),
            ("nexus-backup.timer", "enabled"),
            ("nexus-first-proof.timer", "enabled"),
            ("nexus-remote-note.timer", "disabled"),
            ("nexus-health.service", "enabled"),
        ];
        let units = [("nexus-alert-health.path", "active"), ("nexus-health.service", "active")];
        let snapshot = snapshot_of(&units, &files);
        let sentence = stopped(&snapshot, true).sentence;
        assert!(sentence.ends_with(": nexus-alert-retry.timer."), "{sentence}");
        assert_eq!(stopped(&snapshot, false).level, FindingLevel::Ok);
    }
}
