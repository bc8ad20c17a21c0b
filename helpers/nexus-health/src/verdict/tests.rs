use proptest::prelude::*;

use super::*;
use crate::finding::CALM;
use crate::threshold::{Limits, Threshold};

fn now() -> Timestamp {
    "2026-11-22T03:00:00Z".parse().unwrap()
}

fn value(value: f64, limits: Limits) -> Finding {
    Finding::measured("x", value, Threshold(Some(limits)), format!("It is {value}."), "Do something")
}

fn level(finding_level: Level) -> Finding {
    Finding { level: finding_level, ..Finding::ok("x", "It is.") }
}

fn changes(findings: impl IntoIterator<Item = Finding>) -> Vec<Level> {
    let mut verdict = Verdict::default();
    findings.into_iter().flat_map(|finding| verdict.observe(vec![finding], now())).map(|c| c.level).collect()
}

const UP: Limits = Limits { warning: 80.0, critical: 90.0 };
const DOWN: Limits = Limits { warning: 30.0, critical: 7.0 };

#[test]
fn warning_critical_and_recovery_are_told_once_each() {
    let up = [50.0, 85.0, 86.0, 95.0, 95.0, 10.0, 10.0, 10.0, 10.0].map(|v| value(v, UP));
    assert_eq!(changes(up), [Level::Warning, Level::Critical, Level::Ok]);
    let down = [100.0, 20.0, 5.0, 100.0, 100.0, 100.0].map(|v| value(v, DOWN));
    assert_eq!(changes(down), [Level::Warning, Level::Critical, Level::Ok]);
}

#[test]
fn what_is_bad_at_the_first_look_is_told_and_what_is_well_is_not() {
    assert_eq!(changes([level(Level::Ok)]), []);
    assert_eq!(changes([level(Level::Critical)]), [Level::Critical]);
}

#[test]
fn patience_is_for_getting_worse() {
    let bad = || level(Level::Warning).patient(3);
    assert_eq!(changes([bad(), bad(), level(Level::Ok), bad(), bad()]), []);
    assert_eq!(changes([bad(), bad(), bad()]), [Level::Warning]);
}

#[test]
fn that_something_cannot_be_seen_ends_no_problem() {
    let unseen = || level(Level::Unknown);
    let seen = [level(Level::Critical), unseen(), unseen(), unseen(), unseen(), level(Level::Ok)];
    assert_eq!(changes(seen), [Level::Critical]);
}

#[test]
fn a_restart_tells_nothing_twice_and_keeps_since_when() {
    let mut before = Verdict::default();
    before.observe(vec![value(85.0, UP)], now());
    let mut after = Verdict::resumed(before.problems());
    let later = "2026-11-22T04:00:00Z".parse().unwrap();
    assert_eq!(after.observe(vec![value(86.0, UP)], later), []);
    assert_eq!(after.problems(), before.problems());
    let over: Vec<_> = (0..3).flat_map(|_| after.observe(vec![value(1.0, UP)], later)).collect();
    assert_eq!(over.len(), 1);
    assert_eq!(after.problems(), []);
}

#[test]
fn what_a_former_process_told_and_nobody_looks_at_any_more_is_forgotten() {
    let mut before = Verdict::default();
    before.observe(vec![value(85.0, UP), Finding::warning("gone", "It is odd.", "")], now());
    let mut after = Verdict::resumed(before.problems());
    after.observe(vec![value(85.0, UP)], now());
    after.forget_unseen();
    assert_eq!(after.states().keys().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn what_is_told_to_others_changes_with_the_level_only() {
    let mut verdict = Verdict::default();
    verdict.observe(vec![value(85.0, UP)], now());
    let told = verdict.problems();
    verdict.observe(vec![value(86.0, UP)], now());
    assert_eq!(verdict.problems(), told);
    assert_eq!(verdict.states()["x"].sentence, "It is 86.");
}

#[test]
fn the_worst_is_the_sentence() {
    let mut verdict = Verdict::default();
    let critical = Finding::critical("b", "B is bad.", "");
    verdict.observe(vec![Finding::warning("a", "A is odd.", ""), critical, Finding::ok("c", "C.")], now());
    assert_eq!(verdict.sentence(), "B is bad. And 1 more.");
    assert_eq!(verdict.level(), Level::Critical);
}

proptest! {
    /// A value that trembles around a threshold changes its level once at most.
    #[test]
    fn no_flapping(
        warning in 1.0f64..1000.0,
        apart in 1.2f64..5.0,
        is_falling: bool,
        at_critical: bool,
        noise in proptest::collection::vec(-0.5f64..0.5, 1..200),
    ) {
        let critical = if is_falling { warning / apart } else { warning * apart };
        let limits = Limits { warning, critical };
        let threshold = if at_critical { critical } else { warning };
        let values = noise.into_iter().map(|noise| value(threshold + noise * limits.margin(), limits));
        let told = changes(values);
        // Around the critical threshold the first look may be a warning already.
        let most = if at_critical { 2 } else { 1 };
        prop_assert!(told.len() <= most, "{told:?}");
        prop_assert!(told.is_sorted(), "{told:?}");
    }

    /// What has been so for long enough is believed, whatever was before.
    #[test]
    fn it_follows(
        before in proptest::collection::vec(0.0f64..200.0, 0..50),
        last in prop_oneof![Just(10.0), Just(85.0), Just(120.0)],
    ) {
        let mut verdict = Verdict::default();
        let steady = std::iter::repeat_n(last, CALM as usize);
        for v in before.into_iter().chain(steady) {
            verdict.observe(vec![value(v, UP)], now());
        }
        prop_assert_eq!(verdict.level(), UP.level(last));
    }
}
