//! From what has happened to a unit to what is told of it: the journal's line now, the other ways by the queue.

use jiff::Timestamp;
use nexus_core::failure::{Exit, Result};

use crate::alert::Alert;
use crate::args::Args;
use crate::facts::{self, Facts, Health};
use crate::problem::{Kind, Problem};
use crate::store::{Held, Store};
use crate::unit::UnitName;
use crate::ways::{Way, Ways, journal};

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
    let is_well = matches!(health, Health::Well(_));
    match change(held.problem(unit)?, unit, facts, is_well, &ways.set(), now) {
        None => Ok(Vec::new()),
        Some((problem, Some(kind))) => tell(&held, ways, &problem, kind).map(|alert| vec![alert]),
        Some((problem, None)) => {
            log::info!("{unit}: nothing new since {}, when it was told", problem.told);
            held.keep(&problem).map(|()| Vec::new())
        }
    }
}

/// What becomes of the problem that there was, and what is told of it; `None` when there is none, before and after.
fn change(
    problem: Option<Problem>,
    unit: &UnitName,
    facts: Option<Facts>,
    is_well: bool,
    ways: &[Way],
    now: Timestamp,
) -> Option<(Problem, Option<Kind>)> {
    match (problem, facts) {
        (None, Some(facts)) => Some((Problem::begins(unit.clone(), facts, ways, now), Some(Kind::Failed))),
        (Some(mut problem), Some(facts)) => {
            let kind = problem.fails_again(facts, ways, now);
            Some((problem, kind))
        }
        (Some(mut problem), None) if is_well => {
            let kind = problem.ends(ways, now);
            Some((problem, kind))
        }
        _ => None,
    }
}

/// Looks at every unit that has a problem: it may be well by now without having said so (a service that stays active has
/// no end that systemd would report), or have failed for another day.
///
/// # Errors
/// I/O; that systemd does not answer is said and no reason not to remind.
pub(crate) fn look_again(store: &Store, ways: &Ways) -> Result<Vec<Alert>> {
    let mut told = Vec::new();
    let units = store.hold()?.units()?;
    for unit in units {
        let lasts = |problem: &Problem| problem.over.is_none();
        if !store.hold()?.problem(&unit)?.as_ref().is_some_and(lasts) {
            continue;
        }
        let ended = well_since(&unit);
        let now = Timestamp::now();
        let held = store.hold()?;
        let Some(mut problem) = held.problem(&unit)? else { continue };
        let is_over = ended.is_some_and(|since| since > problem.last);
        let news = if is_over { problem.ends(&ways.set(), now) } else { problem.remind(&ways.set(), now) };
        if let Some(kind) = news {
            told.push(tell(&held, ways, &problem, kind)?);
        }
    }
    Ok(told)
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

/// On the disk first: what is told and then forgotten would be told again.
fn tell(held: &Held<'_>, ways: &Ways, problem: &Problem, kind: Kind) -> Result<Alert> {
    held.keep(problem)?;
    let alert = Alert::of(problem, kind);
    journal::tell(&alert, ways.wall)?;
    Ok(alert)
}
