//! Working off the queue: what is owed is sent, way by way; what is not taken stays for the next run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::journal::message_id;

use crate::about::About;
use crate::alert::Alert;
use crate::problem::{Kind, Owed, Problem};
use crate::report::{Report, Sent, Unsent};
use crate::store::Store;
use crate::tested;
use crate::ways::{Way, Ways, journal};

/// After so many messages that a way has not taken the rest waits for the next run: each may have cost the whole patience.
const MOST_REFUSED: usize = 3;

/// Sends what is due at `now` by the ways in `by`. What goes wrong with one problem keeps no other from being sent; it is in
/// the report, as is what was not taken.
///
/// # Errors
/// I/O of the queue.
pub(crate) fn owed(store: &Store, ways: &Ways, by: &[Way], now: Timestamp) -> Result<Report> {
    let mut report = Report::default();
    let all = store.hold()?.all()?;
    for about in &all {
        report.note(forget_other_ways(store, ways, about));
    }
    for way in by {
        // What another run is sending is sent by it; then this one sees what is left.
        let _turn = store.turn(*way)?;
        let before = report.unsent.len();
        for about in &all {
            if report.unsent.len() - before >= MOST_REFUSED {
                log::warn!("{way} has not taken {MOST_REFUSED} messages, the others wait for the next run");
                break;
            }
            if let Err(failure) = one(store, ways, about, *way, now, &mut report) {
                report.note(Err(failure));
            }
        }
    }
    Ok(report)
}

fn forget_other_ways(store: &Store, ways: &Ways, about: &About) -> Result<Vec<Alert>> {
    let held = store.hold()?;
    let Some(before) = held.problem(about)? else { return Ok(Vec::new()) };
    let mut problem = before.clone();
    problem.forget_other_ways(&ways.set());
    if problem != before || problem.is_done() {
        held.keep(&problem)?;
    }
    Ok(Vec::new())
}

/// Sends what one way is owed of one problem. While it is sent nothing is locked but the way: a slow server must not keep
/// another alert from being queued.
fn one(
    store: &Store,
    ways: &Ways,
    about: &About,
    way: Way,
    now: Timestamp,
    report: &mut Report,
) -> Result<()> {
    let (alert, Owed { number, .. }) = {
        let held = store.hold()?;
        let Some(problem) = held.problem(about)? else { return Ok(()) };
        let Some(owed) = problem.due(way, now) else { return Ok(()) };
        (Alert::of(&problem, owed.kind, owed.number, held.others(about)?), owed.clone())
    };
    let outcome = ways.send(way, &alert);
    let why = outcome.as_ref().err().map(Refused::of);
    match outcome {
        Ok(()) => {
            log::info!(NEXUS_JOB = "alert", NEXUS_ABOUT = about.to_string(); "told by {way}: {about}");
            report.sent.push(Sent { about: about.clone(), way });
        }
        Err(failure) => report.unsent.push(Unsent::new(about.clone(), way, &failure)),
    }
    // What was taken and is not on the disk would be told twice: once more, for a disk may fail once.
    settle(store, about, way, number, now, why.as_ref())
        .or_else(|_| settle(store, about, way, number, now, why.as_ref()))
}

/// Why a message was not accepted.
struct Refused {
    why: String,
    /// Whether the server would always refuse the message: it cannot be made short enough.
    ever: bool,
}

impl Refused {
    fn of(failure: &Failure) -> Self {
        Self { why: failure.to_string(), ever: failure.exit() == Exit::CannotCreate }
    }
}

/// Keeps what has become of a message; `why` it was not taken.
fn settle(
    store: &Store,
    about: &About,
    way: Way,
    number: u64,
    now: Timestamp,
    why: Option<&Refused>,
) -> Result<()> {
    let held = store.hold()?;
    let Some(mut problem) = held.problem(about)? else { return Ok(()) };
    match why {
        None => problem.sent(way, number),
        Some(Refused { why, ever }) => {
            let is_given_up = problem.not_sent(way, number, *ever, now);
            let then = match (is_given_up, ever) {
                (false, _) => "kept for another try",
                (true, false) => "given up, a week after it was over",
                (true, true) => "given up; it is in the journal",
            };
            warn(about, way, why, is_given_up, then);
        }
    }
    let noted = if *about == About::Test {
        problem.outcomes.insert(way, why.map(|refused| refused.why.clone()));
        note_test(store, &problem)
    } else {
        Ok(())
    };
    held.keep(&problem).and(noted)
}

fn warn(about: &About, way: Way, why: &str, is_given_up: bool, then: &str) {
    let id = if is_given_up { message_id::ALERT_GIVEN_UP } else { message_id::ALERT_KEPT };
    log::warn!(
        MESSAGE_ID = id,
        NEXUS_JOB = "alert",
        NEXUS_ABOUT = about.to_string();
        "the alert about {about} could not be sent by {way} ({then}): {why}"
    );
}

/// Once every way has been tried, what has become of the test is known, and again whenever that changes.
fn note_test(store: &Store, test: &Problem) -> Result<()> {
    if test.owed.keys().all(|way| test.outcomes.contains_key(way)) {
        tested::write(store.directory(), test.began, &test.outcomes)
    } else {
        Ok(())
    }
}

/// Sends a test alert by every way that is set, past the queue, and keeps what has become of it.
///
/// # Errors
/// Settings (78) when none is set; I/O.
pub(crate) fn test(store: &Store, ways: &Ways, by: &[Way]) -> Result<Report> {
    let set = ways.set();
    if set.is_empty() && !ways.wall {
        return Err(Failure::new(Exit::Settings, "sending a test alert")
            .because("no way is set, so that failures are told in the journal alone")
            .advise("Set one of NEXUS_ALERT_… in /etc/nexus/nexus.env"));
    }
    let test = Problem::test(&set, Timestamp::now());
    let alert = Alert::of(&test, Kind::Test, 1, store.hold()?.others(&About::Test)?);
    journal::tell(&alert, ways.wall)?;
    let mut report = Report::of(vec![alert.clone()]);
    let mut outcomes = BTreeMap::new();
    for way in by.iter().copied().filter(|way| set.contains(way)) {
        let outcome = ways.send(way, &alert);
        outcomes.insert(way, outcome.as_ref().err().map(ToString::to_string));
        match outcome {
            Ok(()) => report.sent.push(Sent { about: About::Test, way }),
            Err(failure) => {
                log::warn!("the test alert could not be sent by {way}: {failure}");
                report.unsent.push(Unsent::new(About::Test, way, &failure));
            }
        }
    }
    // One of some ways says nothing of the others.
    if outcomes.len() == set.len() {
        tested::write(store.directory(), test.began, &outcomes)?;
    }
    Ok(report)
}
