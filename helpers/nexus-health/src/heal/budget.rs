//! How often the same thing is mended: what does not help three times within an hour will not help the fourth time.

use std::time::{Duration, Instant};

use super::plan::Action;

/// Actions are counted over this time.
const HOUR: Duration = Duration::from_secs(3600);

/// After an action the same one waits for so long: what was restarted needs time to come up.
const REST: Duration = Duration::from_secs(60);

/// What was done within the last hour.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    done: Vec<(Instant, Action)>,
}

/// Whether an action may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Yes.
    Given,
    /// It was done just now.
    Later,
    /// It was done too often.
    UsedUp,
}

impl Budget {
    /// Whether `action` may be done, when `most` of it are allowed within an hour.
    pub(crate) fn leave(&mut self, action: Action, most: u32, now: Instant) -> Leave {
        self.done.retain(|(at, _)| now.duration_since(*at) < HOUR);
        let same = || self.done.iter().filter(|(_, done)| *done == action);
        if same().count() >= most as usize {
            Leave::UsedUp
        } else if same().any(|(at, _)| now.duration_since(*at) < REST) {
            Leave::Later
        } else {
            Leave::Given
        }
    }

    /// Notes that it was done.
    pub(crate) fn spend(&mut self, action: Action, now: Instant) {
        self.done.push((now, action));
    }

    /// Whether something was done just now, so that it is to be seen soon whether it helped.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.done.iter().any(|(at, _)| now.duration_since(*at) < REST)
    }

    /// How many were done within the last hour.
    pub(crate) fn count(&self, now: Instant) -> usize {
        self.done.iter().filter(|(at, _)| now.duration_since(*at) < HOUR).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_within_an_hour_than_allowed(
            most in 1u32..6,
            steps in proptest::collection::vec(0u64..900, 1..200),
        ) {
            let mut now = Instant::now();
            let mut budget = Budget::default();
            let mut done: Vec<Instant> = Vec::new();
            for seconds in steps {
                now += Duration::from_secs(seconds);
                if budget.leave(Action::AskForStack, most, now) == Leave::Given {
                    budget.spend(Action::AskForStack, now);
                    done.push(now);
                }
                let recent = done.iter().filter(|at| now.duration_since(**at) < HOUR).count();
                prop_assert!(recent <= most as usize);
                prop_assert!(done.windows(2).all(|pair| pair[1].duration_since(pair[0]) >= REST));
            }
        }
    }
}
