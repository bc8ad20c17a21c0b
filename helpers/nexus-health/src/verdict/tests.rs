use proptest::prelude::*;

use super::*;
use crate::finding::CALM;
use crate::threshold::{Limits, MARGIN, Threshold};

fn now() -> Timestamp {
    "2026-11-22T03:00:00Z".parse().unwrap()
}

fn value(value: f64, limits: Limits) -> Finding {
    Finding::measured("x", value, Threshold(Some(limits)), format!("It is {value}."), "Do something")
}

fn level(finding_level: FindingLevel) -> Finding {
    Finding { level: finding_level, ..Finding::ok("x", "It is.") }
}

fn changes(findings: impl IntoIterator<Item = Finding>) -> Vec<FindingLevel> {
    let mut verdict = Verdict::default();
    findings.into_iter().flat_map(|finding| verdict.observe(vec![finding], now())).map(|c| c.level).collect()
}

const UP: Limits = Limits { warning: 80.0, critical: 90.0 };
const DOWN: Limits = Limits { warning: 30.0, critical: 7.0 };

#[test]
fn each_change_is_reported_once() {
    let up = [50.0, 85.0, 86.0, 95.0, 95.0, 10.0, 10.0, 10.0, 10.0].map(|v| value(v, UP));
    assert_eq!(changes(up), [FindingLevel::Warning, FindingLevel::Critical, FindingLevel::Ok]);
    let down = [100.0, 20.0, 5.0, 100.0, 100.0, 100.0].map(|v| value(v, DOWN));
    assert_eq!(changes(down), [FindingLevel::Warning, FindingLevel::Critical, FindingLevel::Ok]);
}

#[test]
fn a_new_finding_is_reported_if_it_is_not_ok() {
    assert_eq!(changes([level(FindingLevel::Ok)]), []);
    assert_eq!(changes([level(FindingLevel::Critical)]), [FindingLevel::Critical]);
}

#[test]
fn patience_delays_a_worse_level() {
    let bad = || level(FindingLevel::Warning).patient(3);
    assert_eq!(changes([bad(), bad(), level(FindingLevel::Ok), bad(), bad()]), []);
    assert_eq!(changes([bad(), bad(), bad()]), [FindingLevel::Warning]);
}

#[test]
fn an_unknown_finding_ends_no_problem() {
    let unseen = || level(FindingLevel::Unknown);
    let seen =
        [level(FindingLevel::Critical), unseen(), unseen(), unseen(), unseen(), level(FindingLevel::Ok)];
    assert_eq!(changes(seen), [FindingLevel::Critical]);
}

#[test]
fn a_restart_reports_nothing_twice_and_keeps_the_time() {
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
fn a_finding_that_no_check_reports_after_a_restart_is_dropped() {
    let mut before = Verdict::default();
    before.observe(vec![value(85.0, UP), Finding::warning("gone", "It is odd.", "")], now());
    let mut after = Verdict::resumed(before.problems());
    after.observe(vec![value(85.0, UP)], now());
    after.forget_unseen();
    assert_eq!(after.states().keys().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn the_list_for_nexus_alert_changes_with_a_level_only() {
    let mut verdict = Verdict::default();
    verdict.observe(vec![value(85.0, UP)], now());
    let published = verdict.problems();
    verdict.observe(vec![value(86.0, UP)], now());
    assert_eq!(verdict.problems(), published);
    assert_eq!(verdict.states()["x"].sentence, "It is 86.");
}

#[test]
fn the_worst_finding_is_the_sentence() {
    let mut verdict = Verdict::default();
    let critical = Finding::critical("b", "B is bad.", "");
    verdict.observe(vec![Finding::warning("a", "A is odd.", ""), critical, Finding::ok("c", "C.")], now());
    assert_eq!(verdict.sentence(), "B is bad. Also 1 more finding.");
    assert_eq!(verdict.level(), FindingLevel::Critical);
}

proptest! {
    /// A value that oscillates around a threshold changes its level at most once.
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
        let margin = warning.min(critical) * MARGIN;
        let values = noise.into_iter().map(|noise| value(threshold + noise * margin, limits));
        let reported = changes(values);
        // Around the critical threshold the first value may be a warning.
        let most = if at_critical { 2 } else { 1 };
        prop_assert!(reported.len() <= most, "{reported:?}");
        prop_assert!(reported.is_sorted(), "{reported:?}");
    }

    /// A steady value determines the level, whatever it was before.
    #[test]
    fn a_steady_value_determines_the_level(
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
