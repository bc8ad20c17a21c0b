//! Working off the queue: what is owed is sent, way by way; what is not taken stays for the next run.

use jiff::Timestamp;
use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::journal::message_id;

use crate::alert::Alert;
use crate::report::{Report, Sent, Unsent};
use crate::store::Store;
use crate::unit::UnitName;
use crate::ways::{Way, Ways, journal};

/// Sends what is due at `now` by the ways in `by`.
///
/// # Errors
/// I/O of the queue. What is not taken is in the report.
pub(crate) fn owed(store: &Store, ways: &Ways, by: &[Way], now: Timestamp) -> Result<Report> {
    let mut report = Report::default();
    let set = ways.set();
    let units = store.hold()?.units()?;
    for unit in &units {
        {
            let held = store.hold()?;
            if let Some(mut problem) = held.problem(unit)? {
                problem.forget_other_ways(&set);
                held.keep(&problem)?;
            }
        }
        for way in by {
            one(store, ways, unit, *way, now, &mut report)?;
        }
    }
    Ok(report)
}

/// Sends what one way is owed of one problem. While it is sent nothing is locked: a slow server must not keep another
/// alert from being queued.
fn one(
    store: &Store,
    ways: &Ways,
    unit: &UnitName,
    way: Way,
    now: Timestamp,
    report: &mut Report,
) -> Result<()> {
    let Some(problem) = store.hold()?.problem(unit)? else { return Ok(()) };
    let Some(kind) = problem.due(way, now) else { return Ok(()) };
    let outcome = ways.send(way, &Alert::of(&problem, kind));
    let held = store.hold()?;
    let Some(mut problem) = held.problem(unit)? else { return Ok(()) };
    match outcome {
        Ok(()) => {
            problem.sent(way, kind);
            log::info!(NEXUS_JOB = "alert", NEXUS_UNIT = unit.as_str(); "told by {way}: {unit}");
            report.sent.push(Sent { unit: Some(unit.to_string()), way });
        }
        Err(failure) => {
            let is_given_up = problem.not_sent(way, now);
            let then =
                if is_given_up { "given up, a week after it was over" } else { "kept, and tried again" };
            let id = if is_given_up { message_id::ALERT_GIVEN_UP } else { message_id::ALERT_KEPT };
            log::warn!(
                MESSAGE_ID = id,
                NEXUS_JOB = "alert",
                NEXUS_UNIT = unit.as_str();
                "the alert about {unit} could not be sent by {way} ({then}): {failure}"
            );
            report.unsent.push(Unsent::new(Some(unit.to_string()), way, &failure));
        }
    }
    held.keep(&problem)
}

/// Sends a test alert by every way that is set, past the queue.
///
/// # Errors
/// Settings (78) when none is set.
pub(crate) fn test(ways: &Ways, by: &[Way]) -> Result<Report> {
    let set = ways.set();
    if set.is_empty() && !ways.wall {
        return Err(Failure::new(Exit::Settings, "sending a test alert")
            .because("no way is set, so that failures are told in the journal alone")
            .advise("Set one of NEXUS_ALERT_… in /etc/nexus/nexus.env"));
    }
    let alert = Alert::test();
    journal::tell(&alert, ways.wall)?;
    let mut report = Report { told: vec![alert.clone()], ..Report::default() };
    for way in by.iter().copied().filter(|way| set.contains(way)) {
        match ways.send(way, &alert) {
            Ok(()) => report.sent.push(Sent { unit: None, way }),
            Err(failure) => {
                log::warn!("the test alert could not be sent by {way}: {failure}");
                report.unsent.push(Unsent::new(None, way, &failure));
            }
        }
    }
    Ok(report)
}
