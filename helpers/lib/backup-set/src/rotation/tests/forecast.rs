//! The forecast is what happens: a set never outlives the day that was told.

use super::*;

/// Days to come.
const NIGHTS: usize = 150;

fn in_future(sets: &[SetName], known: &Known, retention: Retention, count: usize) -> Option<Leaves> {
    Forecast::new(sets, known, retention, sets.last().unwrap().taken).of_oldest(count)
}

/// The forecast of a set that rotation removes in night `day`. The night of the first set is 0.
fn by(day: i64, awaited: &[Awaited]) -> Leaves {
    let day = Timestamp::from_second(nightly(1)[0] - 3 * 3600 + (day + 1) * DAY).unwrap();
    Leaves::By { day, awaited: awaited.iter().copied().collect() }
}

/// Proven, and with Redis, are the sets with these numbers; the newest set was meant to have Redis.
fn known(sets: &[SetName], proven: &[u64], with_redis: &[u64]) -> Known {
    let part = |set: &SetName| {
        if with_redis.contains(&set.sequence) { RedisPart::Stored } else { RedisPart::Missing }
    };
    let redis = sets.iter().map(|set| (*set, part(set))).collect();
    Known { redis, ..only_proven(sets, proven) }
}

#[test]
fn a_nightly_set_goes_on_the_day_after_the_days_that_are_set() {
    let now = sets(&nightly(10));
    let known = only_proven(&now, &[10]);
    assert_eq!(in_future(&now, &known, RETENTION, 1), Some(by(15, &[])));
    assert_eq!(in_future(&now, &known, RETENTION, 9), Some(by(23, &[])));
    assert_eq!(in_future(&now, &known, RETENTION, 0), None);
}

#[test]
fn an_older_set_that_is_kept_for_its_week_goes_last() {
    let now = sets(&nightly(10));
    let known = only_proven(&now, &[10]);
    // Set 4 is the last of its week: it stays until four newer weeks have sets, on a Monday.
    let weekly = Retention { weekly: 4, ..RETENTION };
    assert_eq!(in_future(&now, &known, weekly, 3), Some(by(17, &[])));
    assert_eq!(in_future(&now, &known, weekly, 4), Some(by(25, &[])));
    assert_eq!(in_future(&now, &known, weekly, 5), Some(by(25, &[])));
}

#[test]
fn what_a_proof_keeps_or_could_keep_awaits_a_newer_one() {
    let now = sets(&nightly(10));
    let known = only_proven(&now, &[5]);
    assert_eq!(in_future(&now, &known, RETENTION, 4), Some(by(18, &[])));
    assert_eq!(in_future(&now, &known, RETENTION, 5), Some(by(19, &[Awaited::Proof])));
    // The restore test may prove it tomorrow.
    assert_eq!(in_future(&now, &known, RETENTION, 6), Some(by(20, &[Awaited::Proof])));
    assert_eq!(in_future(&now, &Known::default(), RETENTION, 1), Some(by(15, &[Awaited::Proof])));
}

#[test]
fn the_last_set_with_redis_awaits_a_newer_one() {
    let now = sets(&nightly(10));
    let known = known(&now, &[10], &[1, 2, 3]);
    assert_eq!(in_future(&now, &known, RETENTION, 2), Some(by(16, &[])));
    assert_eq!(in_future(&now, &known, RETENTION, 3), Some(by(17, &[Awaited::Redis])));
    // Redis is not wanted any more: one of the sets that hold it stays as long as one that lacks it.
    let mut unwanted = known;
    unwanted.redis.retain(|set, _| set.sequence < 8);
    assert_eq!(in_future(&now, &unwanted, RETENTION, 3), Some(by(22, &[Awaited::Redis])));
}

#[test]
fn a_set_with_rows_that_the_newest_lacks_stays() {
    let now = sets(&nightly(6));
    let size = |episodes| Size { rows: episodes + 4, episodes, forgotten: 0 };
    let sizes = now.iter().copied().zip([5000, 5000, 5000, 0, 0, 0].map(size)).collect();
    let known = Known { sizes, ..only_proven(&now, &[6]) };
    // Also one that stays today for being one of the newest.
    let many = Retention { at_least: 5, ..RETENTION };
    for count in 1..=6 {
        assert_eq!(in_future(&now, &known, many, count), Some(Leaves::Never));
    }
}

#[test]
fn days_that_have_passed_since_the_newest_set_count() {
    let now = sets(&nightly(3));
    let later = Timestamp::from_second(nightly(101)[100]).unwrap();
    let forecast = Forecast::new(&now, &only_proven(&now, &[3]), RETENTION, later);
    // None goes before a backup has succeeded; a leap of the clock ages them by two days.
    assert_eq!(forecast.of_oldest(1), Some(by(112, &[])));
}

/// What happens on a day.
#[derive(Clone)]
struct Day {
    /// Seconds since the day before.
    seconds: i64,
    /// Episodes in its set; none where no backup succeeds.
    episodes: Option<u64>,
    redis: Option<RedisPart>,
    /// Before the backup, the newest set without a proof is proven.
    is_proving: bool,
    /// The owner accepts a smaller memory.
    is_accepting: bool,
    /// A set that a restore uses while rotation runs: its index.
    used: usize,
    /// What was remembered of sizes is lost.
    is_forgetting: bool,
}

/// On one line: a history has hundreds.
impl std::fmt::Debug for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seconds, episodes, redis, is_proving, is_accepting, used, is_forgetting } = self;
        write!(f, "{seconds} {episodes:?} {redis:?} {is_proving} {is_accepting} {used} {is_forgetting}")
    }
}

fn day(seconds: BoxedStrategy<i64>) -> impl Strategy<Value = Day> {
    let episodes = prop_oneof![
        8 => (4000..6000_u64).prop_map(Some),
        1 => (0..6000_u64).prop_map(Some),
        1 => Just(None),
    ];
    let redis = prop_oneof![
        6 => Just(Some(RedisPart::Stored)),
        2 => Just(Some(RedisPart::Missing)),
        1 => Just(None),
    ];
    let rarely = |percent: f64| prop::bool::weighted(percent / 100.0);
    (seconds, episodes, redis, rarely(5.0), rarely(1.0), 0..200_usize, rarely(1.0)).prop_map(
        |(seconds, episodes, redis, is_proving, is_accepting, used, is_forgetting)| Day {
            seconds,
            episodes,
            redis,
            is_proving,
            is_accepting,
            used,
            is_forgetting,
        },
    )
}

/// What happened, mostly a day after the one before.
fn past(step: impl Strategy<Value = i64> + 'static) -> impl Strategy<Value = Vec<Day>> {
    let step = prop_oneof![16 => DAY * 3 / 4..DAY * 5 / 4, 1 => 0..9 * DAY, 1 => step];
    prop::collection::vec(day(step.boxed()), 1..50)
}

/// A past, and the time of the backup on each day to come: any. Where the clock has leapt, it is always the same.
fn lives() -> impl Strategy<Value = (Vec<Day>, Vec<i64>)> {
    let steady = (past(0..9 * DAY), prop::collection::vec(0..DAY, NIGHTS));
    let leapt = (past(-4000 * DAY..4000 * DAY), (0..DAY).prop_map(|time| vec![time; NIGHTS]));
    prop_oneof![steady, leapt]
}

/// A machine whose backups run.
struct Machine {
    retention: Retention,
    there: Vec<SetName>,
    known: Known,
    next: u64,
}

impl Machine {
    fn live(&mut self, day: &Day, now: Timestamp) {
        if day.is_proving {
            self.prove();
        }
        if day.is_forgetting {
            self.known.sizes.clear();
            (self.known.accepted, self.known.reference) = (0, None);
        }
        if let Some(episodes) = day.episodes {
            self.back_up(now, Some(has(episodes)), day.redis, Some(day.used));
        }
        if day.is_accepting {
            (self.known.accepted, self.known.reference) = (self.next - 1, None);
        }
    }

    fn prove(&mut self) {
        let unproven = self.there.iter().rfind(|set| !self.known.proven.contains(set));
        self.known.proven.extend(unproven.copied());
    }

    /// A backup, and its rotation, which leaves the set with the index `used`.
    fn back_up(
        &mut self,
        taken: Timestamp,
        size: Option<Size>,
        redis: Option<RedisPart>,
        used: Option<usize>,
    ) {
        let set = SetName::new(self.next, taken);
        self.next += 1;
        self.there.push(set);
        self.known.sizes.extend(size.map(|size| (set, size)));
        self.known.redis.extend(redis.map(|part| (set, part)));
        self.known.reference = missing_from_newest(&self.there, &self.known);
        let decisions = decide(&self.there, &self.known, self.retention);
        let mut decisions = decisions.into_iter().enumerate();
        self.there.retain(|_| {
            let next = decisions.next();
            next.is_some_and(|(index, decision)| Some(index) == used || decision != RotationDecision::Remove)
        });
    }
}

fn has(episodes: u64) -> Size {
    Size { rows: episodes + 4, episodes, forgotten: 0 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// The law of the forecast: whatever happened, and whichever sets are proven or hold Redis's data in the days to come,
    /// no set outlives the day of its forecast, or the day after the last of what it awaits.
    #[test]
    fn no_set_outlives_its_forecast(
        (past, times) in lives(),
        // The last days show what the ones before have done.
        proofs in prop::collection::btree_set(0..NIGHTS - 10, 0..6),
        without_redis in prop::collection::btree_set(0..NIGHTS - 10, 0..60),
        days in 7u32..30, at_least in 1u32..5, weekly in 0u32..5, monthly in 0u32..3,
    ) {
        let retention = Retention { days, at_least, weekly, monthly };
        let mut machine = Machine { retention, there: Vec::new(), known: Known::default(), next: 1 };
        let mut now = nightly(1)[0];
        for day in past {
            now = (now + day.seconds).clamp(0, 7_000_000_000);
            machine.live(&day, Timestamp::from_second(now)?);
        }
        let before = machine.there.clone();
        let Some(newest) = before.last() else { return Ok(()) };
        let forecast = Forecast::new(&before, &machine.known, retention, Timestamp::from_second(now)?);

        // What the forecast says that it assumes: each new set holds what the newest one does.
        let size = machine.known.sizes.get(newest).copied();
        let wants_redis = machine.known.redis.contains_key(newest);
        let mut gone = vec![None; before.len()];
        let (mut proven, mut with_redis) = (None, None);
        for (night, (day, time)) in (now.div_euclid(DAY) + 1..).zip(times).enumerate() {
            if proofs.contains(&night) {
                machine.prove();
            }
            let part = if without_redis.contains(&night) { RedisPart::Missing } else { RedisPart::Stored };
            let taken = Timestamp::from_second(day * DAY + time)?;
            machine.back_up(taken, size, wants_redis.then_some(part), None);
            if machine.known.proven.last() > Some(newest) {
                proven.get_or_insert(day);
            }
            if wants_redis && part == RedisPart::Stored {
                with_redis.get_or_insert(day);
            }
            for (set, gone) in before.iter().zip(&mut gone) {
                if !machine.there.contains(set) {
                    gone.get_or_insert(day);
                }
            }
        }

        for count in 1..=before.len() {
            let last_gone = if gone[..count].contains(&None) { None } else { gone[..count].iter().max().copied().flatten() };
            match forecast.of_oldest(count) {
                None => prop_assert!(false, "{count} sets, and no forecast"),
                Some(Leaves::Never) => prop_assert_eq!(last_gone, None),
                Some(Leaves::By { day, awaited }) => {
                    let happened = |what| match what {
                        Awaited::Proof => proven,
                        Awaited::Redis => with_redis,
                    };
                    let happened: Vec<Option<i64>> = awaited.into_iter().map(happened).collect();
                    if happened.contains(&None) {
                        continue;
                    }
                    let day = happened.into_iter().flatten().map(|day| day + 1).fold(day.as_second() / DAY, i64::max);
                    prop_assert!(last_gone.is_some_and(|last| last <= day), "{count} oldest: {last_gone:?}, told {day}");
                }
            }
        }
    }
}
