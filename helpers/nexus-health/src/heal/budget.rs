//! Limits how often an action is repeated: if it has not helped three times within an hour, it will not help a fourth time.

use std::time::{Duration, Instant};

use super::plan::Action;

/// The time over which actions count.
const HOUR: Duration = Duration::from_secs(3600);

/// The pause before the same action may be repeated. A restarted server needs time to start.
const REST: Duration = Duration::from_secs(60);

/// The actions of the last hour.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    done: Vec<(Instant, Action)>,
}

/// Whether an action is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    Granted,
    /// The action was executed just now.
    TooSoon,
    /// The action was executed too often.
    UsedUp,
}

impl Budget {
    /// Returns whether `action` is permitted, if `most` of it are allowed within an hour.
    pub(crate) fn permit(&mut self, action: Action, most: u32, now: Instant) -> Permit {
        self.done.retain(|(at, _)| now.duration_since(*at) < HOUR);
        let same = || self.done.iter().filter(|(_, done)| *done == action);
        if same().count() >= most as usize {
            Permit::UsedUp
        } else if same().any(|(at, _)| now.duration_since(*at) < REST) {
            Permit::TooSoon
        } else {
            Permit::Granted
        }
    }

    /// Notes that `action` is executed.
    pub(crate) fn spend(&mut self, action: Action, now: Instant) {
        self.done.push((now, action));
    }

    /// Returns whether an action was executed just now, so that checks should show soon whether it helped.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.done.iter().any(|(at, _)| now.duration_since(*at) < REST)
    }

    /// Returns how many actions were executed in the last hour.
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
        fn an_action_is_not_repeated_more_often_than_allowed(
            most in 1u32..6,
            steps in proptest::collection::vec(0u64..900, 1..200),
        ) {
            let mut now = Instant::now();
            let mut budget = Budget::default();
            let mut done: Vec<Instant> = Vec::new();
            for seconds in steps {
                now += Duration::from_secs(seconds);
                if budget.permit(Action::AskForStack, most, now) == Permit::Granted {
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
