//! From what the looks have found to what is so: a level changes once and not again and again, and each change is told once.
//! Findings in, changes out, nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::finding::{Finding, Level};

/// What is so of one thing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// How it is.
    pub(crate) level: Level,
    /// Since when it is so.
    pub(crate) since: Timestamp,
    /// What the newest look said.
    pub(crate) sentence: String,
    /// What to do about it.
    pub(crate) advice: String,
    /// What was said when it became so: what is told to others changes only with the level.
    told: (String, String),
    /// Looks in a row that wanted it worse, and better.
    worse: u32,
    better: u32,
    /// Whether this process has looked at it.
    is_seen: bool,
}

/// A level that has changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// Of what.
    pub(crate) id: String,
    /// How it was; nothing when it was never looked at before.
    pub(crate) before: Option<Level>,
    /// How it is.
    pub(crate) level: Level,
    /// What is so now.
    pub(crate) sentence: String,
    /// What to do about it.
    pub(crate) advice: String,
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    states: BTreeMap<String, State>,
}

impl Verdict {
    /// Goes on from what a former process had told, so that a restart tells nothing twice.
    pub(crate) fn resumed(problems: Vec<nexus_problems::Problem>) -> Self {
        let states = problems.into_iter().map(|problem| {
            let level = match problem.level {
                nexus_problems::Level::Warning => Level::Warning,
                nexus_problems::Level::Critical => Level::Critical,
            };
            let told = (problem.sentence.clone(), problem.advice.clone());
            let (sentence, advice, since) = (problem.sentence, problem.advice, problem.since);
            let state = State { level, since, sentence, advice, told, worse: 0, better: 0, is_seen: false };
            (problem.id.to_string(), state)
        });
        Self { states: states.collect() }
    }

    /// Takes what a look has found.
    pub(crate) fn observe(&mut self, findings: Vec<Finding>, now: Timestamp) -> Vec<Change> {
        findings.into_iter().filter_map(|finding| self.observe_one(finding, now)).collect()
    }

    fn observe_one(&mut self, finding: Finding, now: Timestamp) -> Option<Change> {
        let Some(state) = self.states.get_mut(&finding.id) else { return self.first(finding, now) };
        let wanted = wanted(state.level, &finding);
        state.is_seen = true;
        // One look that says otherwise does not yet speak for it.
        if wanted == state.level {
            state.sentence.clone_from(&finding.sentence);
            state.advice.clone_from(&finding.advice);
        }
        state.worse = if wanted > state.level { state.worse + 1 } else { 0 };
        state.better = if wanted < state.level { state.better + 1 } else { 0 };
        if state.worse < finding.patience && state.better < finding.calm {
            return None;
        }
        if wanted == state.level {
            return None;
        }
        let before = Some(state.level);
        *state = State::new(wanted, &finding, now);
        Some(Change {
            id: finding.id,
            before,
            level: wanted,
            sentence: finding.sentence,
            advice: finding.advice,
        })
    }

    /// What is looked at for the first time is well until it has been seen otherwise often enough.
    fn first(&mut self, finding: Finding, now: Timestamp) -> Option<Change> {
        let is_believed = finding.patience <= 1;
        let level = if is_believed { finding.level } else { Level::Ok };
        let mut state = State::new(level, &finding, now);
        state.worse = u32::from(finding.level > level);
        self.states.insert(finding.id.clone(), state);
        let Finding { id, sentence, advice, .. } = finding;
        (level != Level::Ok).then_some(Change { id, before: None, level, sentence, advice })
    }

    /// Forgets what a former process had told and no look speaks of any more.
    pub(crate) fn forget_unseen(&mut self) {
        self.states.retain(|_, state| state.is_seen);
    }

    /// Everything, by name.
    pub(crate) fn states(&self) -> &BTreeMap<String, State> {
        &self.states
    }

    /// The worst level of all.
    pub(crate) fn level(&self) -> Level {
        self.states.values().map(|state| state.level).max().unwrap_or(Level::Unknown)
    }

    /// All in one sentence: the worst, and how many more there are.
    pub(crate) fn sentence(&self) -> String {
        let not_well = || self.states.values().filter(|state| state.level > Level::Ok);
        let worst = not_well().max_by(|a, b| a.level.cmp(&b.level).then(b.since.cmp(&a.since)));
        match (worst, not_well().count()) {
            (None, _) => format!("All is well: {} things were looked at.", self.states.len()),
            (Some(worst), 1) => worst.sentence.clone(),
            (Some(worst), count) => format!("{} And {} more.", worst.sentence, count - 1),
        }
    }

    /// What nexus-alert is told. What could not be looked at for a while is a warning: nobody knows how it is.
    pub(crate) fn problems(&self) -> Vec<nexus_problems::Problem> {
        let problem = |(id, state): (&String, &State)| {
            let level = match state.level {
                Level::Ok => return None,
                Level::Unknown | Level::Warning => nexus_problems::Level::Warning,
                Level::Critical => nexus_problems::Level::Critical,
            };
            let (sentence, advice) = state.told.clone();
            Some(nexus_problems::Problem {
                id: id.parse().ok()?,
                level,
                sentence,
                advice,
                since: state.since,
            })
        };
        self.states.iter().filter_map(problem).collect()
    }
}

impl State {
    fn new(level: Level, finding: &Finding, now: Timestamp) -> Self {
        let told = (finding.sentence.clone(), finding.advice.clone());
        let (sentence, advice) = told.clone();
        Self { level, since: now, sentence, advice, told, worse: 0, better: 0, is_seen: true }
    }
}

/// The level that a look speaks for, of a thing that is at `now`.
fn wanted(now: Level, finding: &Finding) -> Level {
    match finding.measured {
        // A value must be well past a threshold on its way back.
        Some((value, limits)) if finding.level < now => limits.level_on_the_way_back(value).min(now),
        // That it cannot be seen does not make a known problem better.
        None if finding.level == Level::Unknown && now > Level::Unknown => now,
        _ => finding.level,
    }
}

#[cfg(test)]
mod tests;
