//! A unit's problem, from its first failure until everyone has heard that it is over: who is to be told what, and when.
//!
//! No more than one message is ever owed to a way: what it has not heard is told by the newest, which says when the
//! problem began, how often it came back, and whether it is over. So the queue cannot grow while a network is down.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::unit::UnitName;
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
    /// A unit has failed.
    Failed,
    /// It has been failing for a day, or another one.
    Still,
    /// It is over.
    Over,
    /// A person tries the ways.
    Test,
}

/// A message that a way has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owed {
    pub(crate) kind: Kind,
    /// How often it could not be sent.
    pub(crate) tries: u32,
    /// Not tried before.
    pub(crate) not_before: Timestamp,
}

/// What is on the disk: one file a unit, for as long as its problem lasts or something is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) unit: UnitName,
    /// When it first failed.
    pub(crate) began: Timestamp,
    /// When it last failed.
    pub(crate) last: Timestamp,
    /// How often it has failed since it began.
    pub(crate) failures: u64,
    /// When it was last told.
    pub(crate) told: Timestamp,
    /// When it was over; `None` while it lasts.
    pub(crate) over: Option<Timestamp>,
    /// What was found at its last failure.
    pub(crate) facts: Facts,
    pub(crate) owed: BTreeMap<Way, Owed>,
}

impl Problem {
    /// A unit has failed that was well before.
    pub(crate) fn begins(unit: UnitName, facts: Facts, ways: &[Way], now: Timestamp) -> Self {
        let mut problem = Self {
            unit,
            began: now,
            last: now,
            failures: 1,
            told: now,
            over: None,
            facts,
            owed: BTreeMap::new(),
        };
        problem.owe(Kind::Failed, ways, now);
        problem
    }

    /// The unit has failed once more. Says what is to be told, if anything.
    pub(crate) fn fails_again(&mut self, facts: Facts, ways: &[Way], now: Timestamp) -> Option<Kind> {
        if self.over.is_some() {
            // The one before was over, and only the news of it was still under way: this is another problem.
            *self = Self::begins(self.unit.clone(), facts, ways, now);
            return Some(Kind::Failed);
        }
        self.facts = facts;
        self.last = now;
        self.failures += 1;
        self.remind(ways, now)
    }

    /// Once a day while it lasts.
    pub(crate) fn remind(&mut self, ways: &[Way], now: Timestamp) -> Option<Kind> {
        let since = now.duration_since(self.told);
        // A clock that was set back must not silence it: then the day begins anew.
        let is_due = self.over.is_none() && (since >= REMINDER || since.is_negative());
        is_due.then(|| {
            self.owe(Kind::Still, ways, now);
            Kind::Still
        })
    }

    /// It is over. `None` when that was known.
    pub(crate) fn ends(&mut self, ways: &[Way], now: Timestamp) -> Option<Kind> {
        self.over.is_none().then(|| {
            self.over = Some(now);
            self.owe(Kind::Over, ways, now);
            Kind::Over
        })
    }

    fn owe(&mut self, kind: Kind, ways: &[Way], now: Timestamp) {
        self.told = now;
        for way in ways {
            // Who has not heard of the failure yet hears of it first of all, and not of a reminder.
            let unheard = self.owed.get(way).is_some_and(|owed| owed.kind == Kind::Failed);
            let kind = if unheard && kind == Kind::Still { Kind::Failed } else { kind };
            self.owed.insert(*way, Owed { kind, tries: 0, not_before: now });
        }
    }

    /// What is to be sent by `way` now.
    pub(crate) fn due(&self, way: Way, now: Timestamp) -> Option<Kind> {
        let owed = self.owed.get(&way)?;
        let wait = owed.not_before.duration_since(now);
        // Longer than any pause: the clock was set back.
        (!wait.is_positive() || wait > LONGEST_PAUSE).then_some(owed.kind)
    }

    /// `way` has taken its message.
    pub(crate) fn sent(&mut self, way: Way, kind: Kind) {
        // While it was sent, another one may have taken its place.
        if self.owed.get(&way).is_some_and(|owed| owed.kind == kind) {
            self.owed.remove(&way);
        }
    }

    /// `way` has not taken it. Says whether that is given up.
    pub(crate) fn not_sent(&mut self, way: Way, now: Timestamp) -> bool {
        let is_too_late = self.over.is_some_and(|over| now.duration_since(over) >= GIVE_UP);
        if is_too_late {
            self.owed.remove(&way);
        } else if let Some(owed) = self.owed.get_mut(&way) {
            owed.tries = owed.tries.saturating_add(1);
            let pause = FIRST_PAUSE.checked_mul(1 << (owed.tries - 1).min(20)).unwrap_or(LONGEST_PAUSE);
            owed.not_before = now + pause.min(LONGEST_PAUSE);
        }
        is_too_late
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
