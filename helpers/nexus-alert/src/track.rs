//! Tracks incidents: opens, updates and resolves them from what the sources report. Each alert goes to the journal at once
//! and to the other channels through the queue.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};

use crate::alert::Alert;
use crate::channels::{Channels, journal};
use crate::details::Details;
use crate::incident::{AlertKind, Incident};
use crate::source::health::Known;
use crate::source::{self, UnitHealth};
use crate::store::{LockedStore, Store};
use crate::subject::Subject;
use crate::summary::Summary;
use crate::test_outcome;
use crate::unit::UnitName;

/// Checks `unit`, and shows `lines` lines of its journal if it failed. With `is_over`, resolves its incident without a check.
///
/// # Errors
/// Usage (64) when there is no such unit, Unavailable (69) when systemd does not answer, I/O.
pub(crate) fn unit(
    store: &Store,
    channels: &Channels,
    unit: &UnitName,
    is_over: bool,
    lines: u16,
) -> Result<Vec<Alert>> {
    let state = if is_over { None } else { Some(source::state(unit)?) };
    let health = state.as_ref().map_or(UnitHealth::Well(None), |state| state.health);
    let failure = state.filter(|_| health == UnitHealth::Failed);
    // Before the lock: the journal of a busy machine may take a while.
    let details = failure.map(|state| source::details(unit, state, lines));
    let now = Timestamp::now();
    let locked = store.lock()?;
    let subject = Subject::Unit(unit.clone());
    match (locked.incident(&subject)?, details) {
        (None, Some(details)) => open(&locked, channels, subject, details, now),
        (Some(mut incident), Some(details)) => {
            let kind = incident.record_failure(details, &channels.configured(), now);
            save(&locked, channels, &incident, kind)
        }
        (Some(mut incident), None) if matches!(health, UnitHealth::Well(_)) => {
            let kind = incident.resolve(&channels.configured(), now);
            save(&locked, channels, &incident, kind)
        }
        (Some(_) | None, None) => Ok(Vec::new()),
    }
}

/// Compares nexus-health's `list` with the known incidents: opens those that are new, resolves those that are gone. An
/// error with one incident goes into the summary and does not stop the others.
///
/// # Errors
/// Unavailable (69) when there is no list; I/O of the queue. No incident is resolved then, nor when the list is unreadable.
pub(crate) fn health(store: &Store, channels: &Channels, list: &Path) -> Result<Summary> {
    let Known { problems, are_all } = source::health::problems(list)?;
    let mut summary = Summary::default();
    let known = store.lock()?.all()?;
    let is_gone = |subject: &Subject| match subject {
        Subject::Health(id) => are_all && !problems.iter().any(|problem| problem.id == *id),
        Subject::Unit(_) | Subject::Test => false,
    };
    for subject in known.into_iter().filter(is_gone) {
        summary.note(resolve(store, channels, &subject));
    }
    for problem in problems {
        summary.note(update(store, channels, problem));
    }
    Ok(summary)
}

fn resolve(store: &Store, channels: &Channels, subject: &Subject) -> Result<Vec<Alert>> {
    let locked = store.lock()?;
    let Some(mut incident) = locked.incident(subject)? else { return Ok(Vec::new()) };
    let kind = incident.resolve(&channels.configured(), Timestamp::now());
    save(&locked, channels, &incident, kind)
}

fn update(store: &Store, channels: &Channels, problem: nexus_problems::Problem) -> Result<Vec<Alert>> {
    let (subject, now) = (Subject::Health(problem.id.clone()), Timestamp::now());
    let details = Details::from(problem);
    let locked = store.lock()?;
    let Some(mut incident) = locked.incident(&subject)? else {
        return open(&locked, channels, subject, details, now);
    };
    let before = incident.clone();
    let kind = incident.update(details, &channels.configured(), now);
    // The list is compared every minute: an incident that has not changed needs no write.
    if incident == before { Ok(Vec::new()) } else { save(&locked, channels, &incident, kind) }
}

/// Checks every incident again. A unit may be well although systemd reports no end, as with a service that stays active;
/// and a reminder may be due. An error with one incident goes into the summary and does not stop the others.
///
/// # Errors
/// I/O of the queue.
pub(crate) fn recheck(store: &Store, channels: &Channels) -> Result<Summary> {
    let mut summary = Summary::default();
    // Not in the loop's own line, which would keep the lock for the whole loop.
    let all = store.lock()?.all()?;
    let mut silence = None;
    for subject in &all {
        summary.note(recheck_one(store, channels, subject, &mut silence));
    }
    if let Some(failure) = silence {
        summary.note(Err(failure.advise("Until the next run, no other unit is checked")));
    }
    Ok(summary)
}

/// Checks one incident again. `silence` is the error of the first question that systemd did not answer.
fn recheck_one(
    store: &Store,
    channels: &Channels,
    subject: &Subject,
    silence: &mut Option<Failure>,
) -> Result<Vec<Alert>> {
    let lasts = |incident: &Incident| incident.resolved.is_none();
    if !store.lock()?.incident(subject)?.as_ref().is_some_and(lasts) {
        return Ok(Vec::new());
    }
    // For a problem of nexus-health, only the list of nexus-health shows that it is over.
    let well_since = subject.unit().and_then(|unit| well_since(unit, silence));
    let now = Timestamp::now();
    let locked = store.lock()?;
    let Some(mut incident) = locked.incident(subject)? else { return Ok(Vec::new()) };
    let is_over = well_since.is_some_and(|since| since > incident.last_failure);
    let set = channels.configured();
    match if is_over { incident.resolve(&set, now) } else { incident.remind(&set, now) } {
        None => Ok(Vec::new()),
        kind => save(&locked, channels, &incident, kind),
    }
}

/// Returns since when the unit is well, if it is. A unit that no longer exists cannot fail any more. Does not ask systemd
/// again once a question had no answer, because each may take the whole limit.
fn well_since(unit: &UnitName, silence: &mut Option<Failure>) -> Option<Timestamp> {
    if silence.is_some() {
        return None;
    }
    match source::health_now(unit) {
        Ok(UnitHealth::Well(since)) => since,
        Ok(UnitHealth::Failed | UnitHealth::Unknown) => None,
        Err(failure) if failure.exit() == Exit::Usage => {
            log::warn!("{failure}");
            Some(Timestamp::now())
        }
        Err(failure) => {
            *silence = Some(failure);
            None
        }
    }
}

fn open(
    locked: &LockedStore<'_>,
    channels: &Channels,
    subject: Subject,
    details: Details,
    now: Timestamp,
) -> Result<Vec<Alert>> {
    let incident = Incident::open(subject, details, &channels.configured(), now);
    // If the incident cannot be saved, the journal is the only channel left.
    let saved = locked.save(&incident);
    let alert = announce(channels, &incident, AlertKind::Failed)?;
    saved.map(|()| vec![alert])
}

/// Saves first: an alert that is sent and then forgotten would be sent again.
fn save(
    locked: &LockedStore<'_>,
    channels: &Channels,
    incident: &Incident,
    kind: Option<AlertKind>,
) -> Result<Vec<Alert>> {
    locked.save(incident)?;
    let Some(kind) = kind else {
        log::info!("{}: no news since the alert of {}", incident.subject, incident.notified);
        return Ok(Vec::new());
    };
    announce(channels, incident, kind).map(|alert| vec![alert])
}

/// Writes the alert to the journal.
fn announce(channels: &Channels, incident: &Incident, kind: AlertKind) -> Result<Alert> {
    let alert = Alert::of(incident, kind, incident.messages, 0);
    journal::send(&alert, channels.wall)?;
    Ok(alert)
}

/// Queues the test alert. Without a channel there is nothing to test, and the timer's unit must not fail.
pub(crate) fn test(store: &Store, channels: &Channels) -> Result<Summary> {
    let (set, now) = (channels.configured(), Timestamp::now());
    if set.is_empty() {
        test_outcome::write(store.directory(), now, &BTreeMap::new())?;
        return Ok(Summary::default());
    }
    let incident = Incident::test(&set, now);
    store.lock()?.save(&incident)?;
    announce(channels, &incident, AlertKind::Test).map(|alert| Summary::of(vec![alert]))
}
