//! From what has happened to what is told of it: the journal's line now, the other ways by the queue.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Result};

use crate::about::About;
use crate::alert::Alert;
use crate::args::Args;
use crate::facts::{self, Facts, Health};
use crate::problem::{Kind, Problem};
use crate::report::Report;
use crate::store::{Held, Store};
use crate::tested;
use crate::unit::UnitName;
use crate::watcher;
use crate::ways::{Ways, journal};

/// Looks at `unit` and tells what is new; `is_over` takes its problem for over without looking.
///
/// # Errors
/// Usage (64) when there is no such unit, Unavailable (69) when systemd does not answer, I/O.
pub(crate) fn about(
    store: &Store,
    ways: &Ways,
    args: &Args,
    unit: &UnitName,
    is_over: bool,
) -> Result<Vec<Alert>> {
    let state = if is_over { None } else { Some(facts::state(unit)?) };
    let health = state.as_ref().map_or(Health::Well(None), |state| state.health);
    let failure = state.filter(|_| health == Health::Failed);
    // Before the lock: the journal of a busy machine may take a while.
    let facts = failure.map(|state| facts::facts(unit, state, args.lines));
    let now = Timestamp::now();
    let held = store.hold()?;
    let about = About::Unit(unit.clone());
    let problem = held.problem(&about)?;
    match (problem, facts) {
        (None, Some(facts)) => begins(&held, ways, about, facts, now).map(|alert| vec![alert]),
        (Some(mut problem), Some(facts)) => {
            let kind = problem.fails_again(facts, &ways.set(), now);
            settle(&held, ways, &problem, kind)
        }
        (Some(mut problem), None) if matches!(health, Health::Well(_)) => {
            let kind = problem.ends(&ways.set(), now);
            settle(&held, ways, &problem, kind)
        }
        _ => Ok(Vec::new()),
    }
}

/// Compares what nexus-health finds with what is known: what is new in its list begins, what is gone from it is over. What
/// goes wrong with one problem keeps no other from being told; it is in the report.
///
/// # Errors
/// As [`nexus_problems::read`], and then nothing is over; I/O of the queue.
pub(crate) fn health(store: &Store, ways: &Ways, list: &Path) -> Result<Report> {
    let mut found = nexus_problems::read(list)?;
    found.extend(watcher::silence(list, SystemTime::now()));
    let mut report = Report::default();
    let known = store.hold()?.all()?;
    let is_there = |about: &About| found.iter().any(|found| About::Health(found.id.clone()) == *about);
    let gone = known.into_iter().filter(|about| matches!(about, About::Health(_)) && !is_there(about));
    for about in gone.collect::<Vec<_>>() {
        report.note(ends(store, ways, &about));
    }
    for found in found {
        report.note(lasts(store, ways, found));
    }
    Ok(report)
}

fn ends(store: &Store, ways: &Ways, about: &About) -> Result<Vec<Alert>> {
    let held = store.hold()?;
    let Some(mut problem) = held.problem(about)? else { return Ok(Vec::new()) };
    let kind = problem.ends(&ways.set(), Timestamp::now());
    settle(&held, ways, &problem, kind)
}

fn lasts(store: &Store, ways: &Ways, found: nexus_problems::Problem) -> Result<Vec<Alert>> {
    let (about, facts, now) = (About::Health(found.id.clone()), Facts::from(found), Timestamp::now());
    let held = store.hold()?;
    let Some(mut problem) = held.problem(&about)? else {
        return begins(&held, ways, about, facts, now).map(|alert| vec![alert]);
    };
    let before = problem.clone();
    let kind = problem.lasts(facts, &ways.set(), now);
    // The list is looked at every minute: what is as it was needs no write.
    if problem == before { Ok(Vec::new()) } else { settle(&held, ways, &problem, kind) }
}

/// Looks at everything that has a problem: a unit may be well by now without having said so (a service that stays active has
/// no end that systemd would report), and what lasts for another day is told again. What goes wrong with one keeps no other
/// from being told; it is in the report.
///
/// # Errors
/// I/O of the queue.
pub(crate) fn look_again(store: &Store, ways: &Ways) -> Result<Report> {
    let mut report = Report::default();
    // Not in the loop's own line: the lock would be held as long as the loop.
    let all = store.hold()?.all()?;
    for about in &all {
        report.note(look_at(store, ways, about));
    }
    Ok(report)
}

fn look_at(store: &Store, ways: &Ways, about: &About) -> Result<Vec<Alert>> {
    let lasts = |problem: &Problem| problem.over.is_none();
    if !store.hold()?.problem(about)?.as_ref().is_some_and(lasts) {
        return Ok(Vec::new());
    }
    // Of what nexus-health has found only its list says that it is over.
    let ended = about.unit().and_then(well_since);
    let now = Timestamp::now();
    let held = store.hold()?;
    let Some(mut problem) = held.problem(about)? else { return Ok(Vec::new()) };
    let is_over = ended.is_some_and(|since| since > problem.last);
    match if is_over { problem.ends(&ways.set(), now) } else { problem.remind(&ways.set(), now) } {
        None => Ok(Vec::new()),
        kind => settle(&held, ways, &problem, kind),
    }
}

/// Since when a unit is well, if it is. One that is there no more cannot fail any more.
fn well_since(unit: &UnitName) -> Option<Timestamp> {
    match facts::health_now(unit) {
        Ok(Health::Well(since)) => since,
        Ok(Health::Failed | Health::Unknown) => None,
        Err(failure) => {
            log::warn!("{failure}");
            (failure.exit() == Exit::Usage).then(Timestamp::now)
        }
    }
}

fn begins(held: &Held<'_>, ways: &Ways, about: About, facts: Facts, now: Timestamp) -> Result<Alert> {
    let problem = Problem::begins(about, facts, &ways.set(), now);
    match held.keep(&problem) {
        Ok(()) => tell(ways, &problem, Kind::Failed),
        Err(failure) => {
            // Where nothing can be kept the journal is the last who can tell.
            tell(ways, &problem, Kind::Failed)?;
            Err(failure)
        }
    }
}

/// On the disk first: what is told and then forgotten would be told again.
fn settle(held: &Held<'_>, ways: &Ways, problem: &Problem, kind: Option<Kind>) -> Result<Vec<Alert>> {
    held.keep(problem)?;
    let Some(kind) = kind else {
        log::info!("{}: nothing new since {}, when it was told", problem.about, problem.told);
        return Ok(Vec::new());
    };
    tell(ways, problem, kind).map(|alert| vec![alert])
}

fn tell(ways: &Ways, problem: &Problem, kind: Kind) -> Result<Alert> {
    let alert = Alert::of(problem, kind, problem.messages, 0);
    journal::tell(&alert, ways.wall)?;
    Ok(alert)
}

/// Puts the test alert into the queue. Without a way there is nothing to test, which is no failure of a timer's.
///
/// # Errors
/// I/O.
pub(crate) fn test(store: &Store, ways: &Ways) -> Result<Report> {
    let (set, now) = (ways.set(), Timestamp::now());
    if set.is_empty() {
        tested::write(store.directory(), now, &BTreeMap::new())?;
        return Ok(Report::default());
    }
    let problem = Problem::test(&set, now);
    store.hold()?.keep(&problem)?;
    tell(ways, &problem, Kind::Test).map(|alert| Report::of(vec![alert]))
}
