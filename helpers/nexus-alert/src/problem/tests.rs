//! One alert a problem, one when it is over, one a day while it lasts; nothing owed is lost, and nothing grows.

use proptest::prelude::*;

use super::*;
use crate::facts::Found;

const WAYS: [Way; 2] = [Way::Mail, Way::Webhook];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn begun() -> Problem {
    Problem::begins("nexus-backup.service".parse().unwrap(), Facts::default(), &WAYS, at(0))
}

fn about() -> About {
    "disk-backups.health".parse().unwrap()
}

fn finding(level: Level) -> Facts {
    let (sentence, advice) = ("It is full.".to_owned(), "Empty it".to_owned());
    Facts { found: Some(Found { level, sentence, advice, since: at(0) }), ..Facts::default() }
}

fn due(problem: &Problem, way: Way, seconds: i64) -> Option<Kind> {
    problem.due(way, at(seconds)).map(|owed| owed.kind)
}

/// Every way takes what it is owed.
fn deliver(problem: &mut Problem) {
    for (way, owed) in problem.owed.clone() {
        problem.sent(way, owed.number);
    }
}

#[test]
fn the_second_failure_of_a_day_is_not_told() {
    let mut problem = begun();
    assert_eq!(problem.fails_again(Facts::default(), &WAYS, at(3600)), None);
    assert_eq!((problem.failures, problem.last), (2, at(3600)));
    assert_eq!(due(&problem, Way::Mail, 3600), Some(Kind::Failed));
}

#[test]
fn a_problem_that_lasts_is_told_once_a_day() {
    let mut problem = begun();
    deliver(&mut problem);
    assert_eq!(problem.remind(&WAYS, at(86_399)), None);
    assert_eq!(problem.remind(&WAYS, at(86_400)), Some(Kind::Still));
    assert_eq!(due(&problem, Way::Webhook, 86_400), Some(Kind::Still));
    assert_eq!(problem.remind(&WAYS, at(86_401)), None);
    assert_eq!(problem.remind(&WAYS, at(2 * 86_400)), Some(Kind::Still));
}

#[test]
fn that_it_is_over_is_told_once_and_then_it_is_done() {
    let mut problem = begun();
    assert_eq!(problem.ends(&WAYS, at(60)), Some(Kind::Over));
    assert_eq!(problem.ends(&WAYS, at(61)), None);
    assert_eq!(problem.remind(&WAYS, at(200_000)), None);
    // Whoever has not heard that it began hears only that it is over; the message says when it began.
    assert_eq!(due(&problem, Way::Mail, 61), Some(Kind::Over));
    assert!(!problem.is_done());
    deliver(&mut problem);
    assert!(problem.is_done());
}

#[test]
fn a_failure_after_the_end_is_another_problem() {
    let mut problem = begun();
    problem.ends(&WAYS, at(60));
    assert_eq!(problem.fails_again(Facts::default(), &WAYS, at(120)), Some(Kind::Failed));
    assert_eq!((problem.began, problem.failures, problem.over), (at(120), 1, None));
}

#[test]
fn what_came_while_the_last_was_sent_is_still_owed() {
    let mut problem = begun();
    let first = problem.owed[&Way::Mail].number;
    problem.ends(&WAYS, at(60));
    problem.sent(Way::Mail, first);
    assert_eq!(due(&problem, Way::Mail, 60), Some(Kind::Over));
}

#[test]
fn what_came_while_another_of_its_kind_was_sent_is_still_owed() {
    let mut problem = begun();
    let first = problem.owed[&Way::Mail].number;
    problem.ends(&WAYS, at(60));
    problem.fails_again(Facts::default(), &WAYS, at(120));
    problem.sent(Way::Mail, first);
    assert_eq!(due(&problem, Way::Mail, 120), Some(Kind::Failed));
    assert!(!problem.not_sent(Way::Mail, first, false, at(120)) && problem.owed[&Way::Mail].tries == 0);
}

#[test]
fn a_warning_that_becomes_critical_is_told_again_and_only_then() {
    let mut problem = Problem::begins(about(), finding(Level::Warning), &WAYS, at(0));
    deliver(&mut problem);
    assert_eq!(problem.lasts(finding(Level::Warning), &WAYS, at(1)), None);
    assert_eq!(problem.lasts(finding(Level::Critical), &WAYS, at(2)), Some(Kind::Worse));
    deliver(&mut problem);
    for level in [Level::Critical, Level::Warning, Level::Critical] {
        assert_eq!(problem.lasts(finding(level), &WAYS, at(3)), None);
    }
    assert_eq!(problem.ends(&WAYS, at(4)), Some(Kind::Over));
    assert_eq!(problem.lasts(finding(Level::Warning), &WAYS, at(5)), Some(Kind::Failed));
    assert_eq!(problem.lasts(finding(Level::Critical), &WAYS, at(6)), Some(Kind::Worse));
}

#[test]
fn one_whose_record_was_damaged_is_told_as_lasting_or_as_over() {
    let mut problem = Problem::recovered(about(), "it is empty", at(0));
    assert_eq!(problem.clone().ends(&WAYS, at(0)), Some(Kind::Over));
    assert_eq!(problem.lasts(finding(Level::Warning), &WAYS, at(0)), Some(Kind::Still));
    assert_eq!(problem.remind(&WAYS, at(0)), None);
}

#[test]
fn a_test_is_done_once_every_way_has_taken_it() {
    let mut problem = Problem::test(&WAYS, at(0));
    assert_eq!(due(&problem, Way::Mail, 0), Some(Kind::Test));
    assert_eq!(problem.remind(&WAYS, at(200_000)), None);
    deliver(&mut problem);
    assert!(problem.is_done());
}

#[test]
fn a_way_that_does_not_answer_is_tried_ever_more_rarely_and_for_a_week_after_the_end() {
    let mut problem = begun();
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assert!(!problem.not_sent(Way::Webhook, 1, false, now));
        assert_eq!(problem.due(Way::Webhook, now), None);
        let next = problem.owed[&Way::Webhook].not_before;
        assert!(problem.due(Way::Webhook, next).is_some_and(|owed| owed.kind == Kind::Failed));
        pauses.push(next.duration_since(now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [45, 90, 180, 360, 720, 1440, 2880, 3600, 3600]);
    problem.ends(&WAYS, at(0));
    assert!(!problem.not_sent(Way::Webhook, 2, false, at(7 * 86_400 - 1)));
    assert!(problem.not_sent(Way::Webhook, 2, false, at(7 * 86_400)));
    assert_eq!(due(&problem, Way::Webhook, 8 * 86_400), None);
}

#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let mut problem = begun();
    assert_eq!(due(&problem, Way::Mail, -90_000), Some(Kind::Failed));
    assert_eq!(problem.remind(&WAYS, at(-90_000)), Some(Kind::Still));
    assert_eq!(problem.remind(&WAYS, at(-90_000 + 86_400)), Some(Kind::Still));
}

#[test]
fn a_way_that_is_set_no_more_is_owed_nothing() {
    let mut problem = begun();
    problem.forget_other_ways(&[Way::Mail]);
    assert_eq!(problem.owed.keys().collect::<Vec<_>>(), [&Way::Mail]);
}

#[derive(Clone, Debug)]
enum Step {
    Fails,
    Ends,
    Looks,
    Delivers(Way),
    DoesNotDeliver(Way),
    Waits(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let way = || prop::sample::select(&WAYS[..]);
    prop_oneof![
        Just(Step::Fails),
        Just(Step::Ends),
        Just(Step::Looks),
        way().prop_map(Step::Delivers),
        way().prop_map(Step::DoesNotDeliver),
        (0_i64..100_000).prop_map(Step::Waits),
    ]
}

proptest! {
    /// Whatever happens in whatever order: never two messages owed to one way, never two tellings of a lasting problem
    /// within a day, and who has been told of the problem is told of its end.
    #[test]
    fn whatever_happens_everyone_hears_the_end(steps in prop::collection::vec(step(), 1..80)) {
        let mut problem = begun();
        let mut now = at(0);
        let mut told_at = at(0);
        for step in steps {
            let was_over = problem.over.is_some();
            match step {
                Step::Waits(seconds) => now += SignedDuration::from_secs(seconds),
                Step::Fails => {
                    if problem.fails_again(Facts::default(), &WAYS, now).is_some() {
                        prop_assert!(was_over || now.duration_since(told_at) >= REMINDER);
                        told_at = now;
                    }
                }
                Step::Looks => {
                    if problem.remind(&WAYS, now).is_some() {
                        prop_assert!(now.duration_since(told_at) >= REMINDER);
                        told_at = now;
                    }
                }
                Step::Ends => {
                    if problem.ends(&WAYS, now).is_some() {
                        prop_assert!(!was_over);
                        prop_assert!(WAYS.iter().all(|way| problem.owed[way].kind == Kind::Over));
                    }
                }
                Step::Delivers(way) => {
                    if let Some(number) = problem.due(way, now).map(|owed| owed.number) {
                        problem.sent(way, number);
                        prop_assert_eq!(problem.due(way, now), None);
                    }
                }
                Step::DoesNotDeliver(way) => {
                    let number = problem.due(way, now).map(|owed| owed.number);
                    if number.is_some_and(|number| !problem.not_sent(way, number, false, now)) {
                        prop_assert!(problem.owed[&way].not_before.duration_since(now) <= LONGEST_PAUSE);
                    }
                }
            }
            prop_assert!(problem.owed.len() <= WAYS.len());
            let json = serde_json::to_vec(&problem).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Problem>(&json).unwrap(), &problem);
        }
    }
}
