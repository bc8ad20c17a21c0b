//! Tests that sets are kept for the days in the settings, and that no clock and no history removes
//! a set that must stay.

use proptest::prelude::*;

use super::*;

mod emptied;
mod forecast;

const DAY: i64 = 86_400;
const RETENTION: Retention = Retention { days: 14, at_least: 3, weekly: 0, monthly: 0 };

/// Creates one set per time, given in seconds, numbered from 1.
fn sets(times: &[i64]) -> Vec<SetName> {
    let name =
        |(index, time): (usize, &i64)| SetName::new(index as u64 + 1, Timestamp::from_second(*time).unwrap());
    times.iter().enumerate().map(name).collect()
}

fn removed(times: &[i64], proven: &[u64], retention: Retention) -> Vec<u64> {
    let sets = sets(times);
    let decisions = decide(&sets, &only_proven(&sets, proven), retention);
    let pairs = sets.iter().zip(decisions);
    pairs.filter(|(_, decision)| *decision == RotationDecision::Remove).map(|(set, _)| set.sequence).collect()
}

/// The sets with the numbers `proven` are proven; no sizes are known.
fn only_proven(sets: &[SetName], proven: &[u64]) -> Known {
    let proven = sets.iter().filter(|set| proven.contains(&set.sequence)).copied().collect();
    Known { proven, ..Known::default() }
}

fn nightly(days: i64) -> Vec<i64> {
    // From 2026-01-01, a Thursday, at three.
    (0..days).map(|day| 1_767_236_400 + day * DAY).collect()
}

#[test]
fn nightly_sets_are_kept_for_the_days_in_the_settings() {
    assert_eq!(removed(&nightly(20), &[], RETENTION), [1, 2, 3, 4, 5]);
}

#[test]
fn weekly_sets_are_kept_for_the_days_in_the_settings() {
    let weekly: Vec<i64> = (0..8).map(|week| week * 7 * DAY).collect();
    assert_eq!(removed(&weekly, &[], RETENTION), [1, 2, 3, 4, 5]);
}

#[test]
fn the_newest_proven_set_is_never_removed() {
    assert_eq!(removed(&nightly(20), &[1, 3], RETENTION), [1, 2, 4, 5]);
    assert_eq!(removed(&nightly(20), &[3, 19], RETENTION), [1, 2, 3, 4, 5]);
}

#[test]
fn the_last_of_each_week_and_month_is_kept_when_asked() {
    let weekly = Retention { weekly: 6, ..RETENTION };
    // Sundays of January and February 2026: the 4th is set 4, then every seventh.
    assert_eq!(removed(&nightly(46), &[], weekly), without(1..=31, &[11, 18, 25]));
    let monthly = Retention { monthly: 3, ..RETENTION };
    // The last sets of January and February, and the newest set for March.
    assert_eq!(removed(&nightly(80), &[], monthly), without(1..=65, &[31, 59]));
}

fn without(range: std::ops::RangeInclusive<u64>, kept: &[u64]) -> Vec<u64> {
    range.filter(|sequence| !kept.contains(sequence)).collect()
}

#[test]
fn a_clock_that_leaps_ten_years_and_back_removes_no_young_set() {
    let mut times = nightly(10);
    times.push(times[9] + 3650 * DAY);
    assert_eq!(removed(&times, &[], RETENTION), Vec::<u64>::new());
    times.push(times[9] + DAY);
    assert_eq!(removed(&times, &[], RETENTION), Vec::<u64>::new());
    times.push(times[9] - 3650 * DAY);
    assert_eq!(removed(&times, &[], RETENTION), Vec::<u64>::new());
}

/// Histories with real clocks: mostly a day between two sets, sometimes a leap.
fn histories() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        8 => (DAY / 2..2 * DAY).boxed(),
        1 => (-4000 * DAY..4000 * DAY).boxed(),
        1 => (0..DAY).boxed(),
    ];
    prop::collection::vec(step, 0..50).prop_map(|steps| {
        let mut now = 1_767_236_400_i64;
        steps
            .into_iter()
            .map(|step| {
                now = (now + step).clamp(0, 7_000_000_000);
                now
            })
            .collect()
    })
}

proptest! {
    // A hundred thousand histories with random clocks.
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    #[test]
    fn no_history_and_no_clock_removes_a_set_that_must_stay(
        times in histories(),
        proven in prop::collection::btree_set(0u64..50, 0..4),
        days in 7u32..60, at_least in 0u32..10, weekly in 0u32..8, monthly in 0u32..8,
    ) {
        let sets = sets(&times);
        let known = only_proven(&sets, &proven.into_iter().collect::<Vec<_>>());
        let retention = Retention { days, at_least, weekly, monthly };
        let decisions = decide(&sets, &known, retention);
        prop_assert_eq!(decisions.len(), sets.len());
        let removed = |index: usize| decisions[index] == RotationDecision::Remove;

        // The newest stay, and the newest proven one.
        for index in sets.len().saturating_sub(at_least.max(1) as usize)..sets.len() {
            prop_assert!(!removed(index));
        }
        if let Some(newest_proven) = sets.iter().rposition(|set| known.proven.contains(set)) {
            prop_assert!(!removed(newest_proven));
        }
        // A removed set has enough later sets to be old, even if each step counts only up to the
        // plausible maximum.
        let mut steps: Vec<i64> = times.windows(2).map(|pair| (pair[1] - pair[0]).max(0)).collect();
        steps.sort_unstable();
        // Three quarters of the steps are at least as long as the usual one.
        let usual = if steps.len() > 4 { steps[(steps.len() - 1) / 4] } else { 0 };
        let most = (usual * 2).max(2 * DAY);
        for index in (0..sets.len()).filter(|index| removed(*index)) {
            let later = i64::try_from(sets.len() - 1 - index).unwrap();
            prop_assert!(later * most > i64::from(days) * DAY);
        }
        // Longer retention never removes more.
        let more = Retention { days: days + 1, at_least: at_least + 1, weekly: weekly + 1, monthly: monthly + 1 };
        for (index, decision) in decide(&sets, &known, more).into_iter().enumerate() {
            prop_assert!(decision != RotationDecision::Remove || removed(index));
        }
        // A second run on the rest does not remove the newest set.
        let left: Vec<SetName> = (0..sets.len()).filter(|index| !removed(*index)).map(|index| sets[index]).collect();
        let again = decide(&left, &known, retention);
        prop_assert!(again.last() != Some(&RotationDecision::Remove));
    }
}

/// Tries every way in which the clock can leap three times in a few nights. The fault matrix found
/// this bug.
#[test]
fn three_leaps_age_no_set_by_years_even_among_few_sets() {
    let retention = Retention { days: 14, at_least: 1, weekly: 0, monthly: 0 };
    let leaps = [-50, -10, -1, 1, 10, 50].map(|years| years * 365 * DAY);
    for count in 2..=7_usize {
        for (first, second, third) in
            (0..count.pow(3)).map(|n| (n % count, n / count % count, n / count.pow(2)))
        {
            for (one, two, three) in (0..216).map(|n| (leaps[n % 6], leaps[n / 6 % 6], leaps[n / 36])) {
                let mut now = 2_000_000_000;
                let times: Vec<i64> = (0..count)
                    .map(|number| {
                        now += DAY;
                        for (_, leap) in
                            [(first, one), (second, two), (third, three)].iter().filter(|l| l.0 == number)
                        {
                            now += leap;
                        }
                        now
                    })
                    .collect();
                let gone = removed(&times, &[], retention);
                assert!(gone.is_empty(), "{times:?}: {gone:?}");
            }
        }
    }
}

#[test]
fn the_last_copy_of_redis_stays_while_newer_sets_lack_it() {
    use RedisPart::{Missing, Stored};

    let kept = |parts: &[Option<RedisPart>]| {
        let sets = sets(&nightly(30));
        let redis = sets.iter().copied().zip(parts).filter_map(|(set, part)| Some((set, (*part)?))).collect();
        let decisions = decide(&sets, &Known { redis, ..Known::default() }, RETENTION);
        decisions.iter().rposition(|decision| *decision == RotationDecision::KeepRedis)
    };
    assert_eq!(kept(&[Some(Stored), Some(Stored), Some(Missing), None]), Some(1));
    // Redis is no longer backed up: the owner's choice.
    assert_eq!(kept(&[Some(Stored), Some(Stored), None]), None);
    // A newer set has it again.
    assert_eq!(kept(&[Some(Stored), Some(Missing), Some(Stored)]), None);
}

#[test]
fn what_a_set_has_of_redis_is_read_from_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let sets = sets(&nightly(3));
    for (set, file) in sets.iter().zip([REDIS, REDIS_MISSING, crate::MANIFEST]) {
        let path = directory.path().join(set.to_string());
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(file), "").unwrap();
    }
    let directory = BackupDirectory::at(directory.path()).unwrap();
    let known = Known::read(&directory, Path::new("/nonexistent"), &sets).unwrap();
    assert_eq!(known.redis, [(sets[0], RedisPart::Stored), (sets[1], RedisPart::Missing)].into());
}
