//! From what has happened to a unit to what is told of it: the journal's line now, the other ways by the queue.

use jiff::Timestamp;
use nexus_core::failure::Result;

use crate::alert::Alert;
use crate::args::Args;
use crate::facts::{self, Health};
use crate::problem::{Kind, Problem};
use crate::store::{Held, Store};
use crate::unit::UnitName;
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
    let problem = held.problem(unit)?;
    let news = match (problem, facts, health) {
        (Some(mut problem), Some(facts), _) => problem
            .fails_again(facts, &ways.set(), now)
            .map(|kind| (problem.clone(), kind))
            .or_else(|| {
                log::info!("{unit} has failed again; that it fails was told at {}", problem.told);
                None
            })
            .ok_or(problem),
        (None, Some(facts), _) => Ok((Problem::begins(unit.clone(), facts, &ways.set(), now), Kind::Failed)),
        (Some(mut problem), None, Health::Well(_)) => {
            problem.ends(&ways.set(), now).map(|kind| (problem.clone(), kind)).ok_or(problem)
        }
        _ => return Ok(Vec::new()),
    };
    match news {
        Ok((problem, kind)) => tell(&held, ways, &problem, kind).map(|alert| vec![alert]),
        Err(nothing_new) => held.keep(&nothing_new).map(|()| Vec::new()),
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
        let health = facts::health_now(&unit).unwrap_or_else(|failure| {
            log::warn!("{failure}");
            Health::Unknown
        });
        let now = Timestamp::now();
        let held = store.hold()?;
        let Some(mut problem) = held.problem(&unit)? else { continue };
        let is_well = matches!(health, Health::Well(Some(since)) if since > problem.last);
        let news = if is_well { problem.ends(&ways.set(), now) } else { problem.remind(&ways.set(), now) };
        if let Some(kind) = news {
            told.push(tell(&held, ways, &problem, kind)?);
        }
    }
    Ok(told)
}

/// On the disk first: what is told and then forgotten would be told again.
fn tell(held: &Held<'_>, ways: &Ways, problem: &Problem, kind: Kind) -> Result<Alert> {
    held.keep(problem)?;
    let alert = Alert::of(problem, kind);
    journal::tell(&alert, ways.wall)?;
    Ok(alert)
}
