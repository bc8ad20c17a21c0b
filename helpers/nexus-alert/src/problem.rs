//! A problem, from its beginning until everyone has heard that it is over: who is to be told what, and when.
//!
//! No more than one message is ever owed to a way: what it has not heard is told by the newest, which says when the
//! problem began, how often it came back, and whether it is over. So the queue cannot grow while a network is down.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nexus_problems::Level;
use serde::{Deserialize, Serialize};

use crate::about::About;
use crate::facts::Facts;
use crate::ways::Way;

/// A problem that lasts is told again after this.
const REMINDER: SignedDuration = SignedDuration::from_hours(24);

/// The first try after one that failed: at the timer's next minute. Each later one waits twice as long as the one before …
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(45);

/// … up to this.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// What could not be told in so long after the problem was over is told no more.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A unit has failed, or nexus-health has found something.
    Failed,
    /// A warning has become critical.
    Worse,
    /// It has lasted for a day, or another one.
    Still,
    /// It is over.
    Over,
    /// The ways are tried.
    Test,
}

/// A message that a way has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owed {
    pub(crate) kind: Kind,
    /// Which message of the problem it is, from 1.
    pub(crate) number: u64,
    /// How often it could not be sent.
    pub(crate) tries: u32,
    /// Not tried before.
    pub(crate) not_before: Timestamp,
}

/// What is on the disk: one file a problem, for as long as it lasts or something is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) about: About,
    /// When it began.
    pub(crate) began: Timestamp,
    /// When the unit last failed.
    pub(crate) last: Timestamp,
    /// How often the unit has failed since it began.
    pub(crate) failures: u64,
    /// When it was last told.
    pub(crate) told: Timestamp,
    /// How many messages there were.
    pub(crate) messages: u64,
    /// The worst that was told of what nexus-health found.
    pub(crate) worst: Option<Level>,
    /// When it was over; `None` while it lasts.
    pub(crate) over: Option<Timestamp>,
    /// What was found last.
    pub(crate) facts: Facts,
    pub(crate) owed: BTreeMap<Way, Owed>,
    /// Of a test: what has become of it, by each way that was tried; `None` for one that took it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) outcomes: BTreeMap<Way, Option<String>>,
}

impl Problem {
    /// All was well before.
    pub(crate) fn begins(about: About, facts: Facts, ways: &[Way], now: Timestamp) -> Self {
        let mut problem = Self::unheard_of(about, facts, now);
        problem.told(Kind::Failed, ways, now);
        problem
    }

    /// The test alert: there is no problem, and so it is over.
    pub(crate) fn test(ways: &[Way], now: Timestamp) -> Self {
        let mut problem = Self::unheard_of(About::Test, Facts::default(), now);
        problem.over = Some(now);
        problem.told(Kind::Test, ways, now);
        problem
    }

    /// One whose file was damaged, `why`: what was told of it is not known, so it is told, as lasting or as over.
    pub(crate) fn recovered(about: About, why: &str, now: Timestamp) -> Self {
        let lines = vec![format!("(its record was damaged: {why})")];
        let mut problem = Self::unheard_of(about, Facts { lines, ..Facts::default() }, now);
        problem.told = Timestamp::UNIX_EPOCH;
        problem.last = Timestamp::UNIX_EPOCH;
        problem
    }

    fn unheard_of(about: About, facts: Facts, now: Timestamp) -> Self {
        Self {
            about,
            began: facts.since().map_or(now, |since| since.min(now)),
            last: now,
            failures: 1,
            told: now,
            messages: 0,
            worst: None,
            over: None,
            facts,
            owed: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// The unit has failed once more. Says what is to be told, if anything.
    pub(crate) fn fails_again(&mut self, facts: Facts, ways: &[Way], now: Timestamp) -> Option<Kind> {
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        self.lasts(facts, ways, now)
    }

    /// It is there as before, or worse. Says what is to be told, if anything.
    pub(crate) fn lasts(&mut self, facts: Facts, ways: &[Way], now: Timestamp) -> Option<Kind> {
        if self.over.is_some() {
            // The one before was over, and only the news of it was still under way: this is another problem, whose
            // messages are numbered on.
            let messages = self.messages;
            *self = Self::unheard_of(self.about.clone(), facts, now);
            self.messages = messages;
            self.told(Kind::Failed, ways, now);
            return Some(Kind::Failed);
        }
        self.facts = facts;
        if self.worst.is_some() && self.facts.level() > self.worst {
            self.told(Kind::Worse, ways, now);
            return Some(Kind::Worse);
        }
        self.remind(ways, now)
    }

    /// Once a day while it lasts.
    pub(crate) fn remind(&mut self, ways: &[Way], now: Timestamp) -> Option<Kind> {
        let since = now.duration_since(self.told);
        // A clock that was set back must not silence it: then the day begins anew.
        let is_due = self.over.is_none() && (since >= REMINDER || since.is_negative());
        is_due.then(|| {
            self.told(Kind::Still, ways, now);
            Kind::Still
        })
    }

    /// It is over. `None` when that was known.
    pub(crate) fn ends(&mut self, ways: &[Way], now: Timestamp) -> Option<Kind> {
        self.over.is_none().then(|| {
            self.over = Some(now);
            self.told(Kind::Over, ways, now);
            Kind::Over
        })
    }

    fn told(&mut self, kind: Kind, ways: &[Way], now: Timestamp) {
        self.told = now;
        self.messages = self.messages.saturating_add(1);
        self.worst = self.worst.max(self.facts.level());
        for way in ways {
            // Who has not heard of it yet hears of it first of all, and not of a reminder.
            let unheard = self.owed.get(way).is_some_and(|owed| owed.kind == Kind::Failed);
            let kind = if unheard && matches!(kind, Kind::Still | Kind::Worse) { Kind::Failed } else { kind };
            self.owed.insert(*way, Owed { kind, number: self.messages, tries: 0, not_before: now });
        }
    }

    /// What is to be sent by `way` now.
    pub(crate) fn due(&self, way: Way, now: Timestamp) -> Option<&Owed> {
        let owed = self.owed.get(&way)?;
        let wait = owed.not_before.duration_since(now);
        // Longer than any pause: the clock was set back.
        (!wait.is_positive() || wait > LONGEST_PAUSE).then_some(owed)
    }

    /// `way` has taken the message of this number. While it was sent, another one may have taken its place.
    pub(crate) fn sent(&mut self, way: Way, number: u64) {
        if self.owed.get(&way).is_some_and(|owed| owed.number == number) {
            self.owed.remove(&way);
        }
    }

    /// Notes that `way` has not accepted the message of this number, or never will (`ever`). Returns whether it is
    /// given up.
    pub(crate) fn not_sent(&mut self, way: Way, number: u64, ever: bool, now: Timestamp) -> bool {
        let Some(owed) = self.owed.get_mut(&way).filter(|owed| owed.number == number) else { return false };
        let is_too_late = self.over.is_some_and(|over| now.duration_since(over) >= GIVE_UP);
        let is_given_up = ever || is_too_late;
        if is_given_up {
            self.owed.remove(&way);
        } else {
            owed.tries = owed.tries.saturating_add(1);
            let pause = FIRST_PAUSE.checked_mul(1 << (owed.tries - 1).min(20)).unwrap_or(LONGEST_PAUSE);
            owed.not_before = now + pause.min(LONGEST_PAUSE);
        }
        is_given_up
    }

    /// What was to go by a way that is set no more is owed to nobody.
    pub(crate) fn forget_other_ways(&mut self, ways: &[Way]) {
        self.owed.retain(|way, _| ways.contains(way));
    }

    /// Nothing is left to be done or told.
    pub(crate) fn is_done(&self) -> bool {
        self.over.is_some() && self.owed.is_empty()
    }
}
