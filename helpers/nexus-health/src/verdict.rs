//! The verdict: the levels that count, after patience and hysteresis. Takes findings, returns each change once, does nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nexus_cli::text::counted;

use crate::finding::Finding;
use crate::level::FindingLevel;

/// The state of one finding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FindingState {
    pub(crate) level: FindingLevel,
    /// Since when it has this level.
    pub(crate) since: Timestamp,
    /// The newest sentence.
    pub(crate) sentence: String,
    /// The newest advice.
    pub(crate) advice: String,
    /// Sentence and advice when the level changed. nexus-alert gets these, so that its list changes only with a level.
    published: (String, String),
    /// How many runs in a row have reported a worse or a better level.
    worse: u32,
    better: u32,
    /// Whether this process has checked it.
    is_seen: bool,
}

/// A change of a level.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The finding.
    pub(crate) id: String,
    /// The level before; `None` for a new finding.
    pub(crate) before: Option<FindingLevel>,
    /// The level now.
    pub(crate) level: FindingLevel,
    pub(crate) sentence: String,
    pub(crate) advice: String,
}

/// The state of all findings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    states: BTreeMap<String, FindingState>,
}

impl Verdict {
    /// Continues from the list of an earlier process, so that a restart reports nothing twice.
    pub(crate) fn resumed(problems: Vec<nexus_problems::Problem>) -> Self {
        let states = problems.into_iter().map(|problem| {
            let level = match problem.level {
                nexus_problems::Level::Warning => FindingLevel::Warning,
                nexus_problems::Level::Critical => FindingLevel::Critical,
            };
            let published = (problem.sentence.clone(), problem.advice.clone());
            let (sentence, advice, since) = (problem.sentence, problem.advice, problem.since);
            let state = FindingState {
                level,
                since,
                sentence,
                advice,
                published,
                worse: 0,
                better: 0,
                is_seen: false,
            };
            (problem.id.to_string(), state)
        });
        Self { states: states.collect() }
    }

    /// Takes the findings of a check, and returns the changes.
    pub(crate) fn observe(&mut self, findings: Vec<Finding>, now: Timestamp) -> Vec<Change> {
        findings.into_iter().filter_map(|finding| self.observe_one(finding, now)).collect()
    }

    fn observe_one(&mut self, finding: Finding, now: Timestamp) -> Option<Change> {
        let Some(state) = self.states.get_mut(&finding.id) else { return self.first(finding, now) };
        let wanted = wanted(state.level, &finding);
        state.is_seen = true;
        // A sentence of another level does not count yet.
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
        *state = FindingState::new(wanted, &finding, now);
        Some(Change {
            id: finding.id,
            before,
            level: wanted,
            sentence: finding.sentence,
            advice: finding.advice,
        })
    }

    /// Takes a new finding, which is ok until its patience is used up.
    fn first(&mut self, finding: Finding, now: Timestamp) -> Option<Change> {
        let counts = finding.patience <= 1;
        let level = if counts { finding.level } else { FindingLevel::Ok };
        let mut state = FindingState::new(level, &finding, now);
        state.worse = u32::from(finding.level > level);
        self.states.insert(finding.id.clone(), state);
        let Finding { id, sentence, advice, .. } = finding;
        (level != FindingLevel::Ok).then_some(Change { id, before: None, level, sentence, advice })
    }

    /// Drops findings of an earlier process that no check reports any more.
    pub(crate) fn forget_unseen(&mut self) {
        self.states.retain(|_, state| state.is_seen);
    }

    /// Returns all states by name.
    pub(crate) fn states(&self) -> &BTreeMap<String, FindingState> {
        &self.states
    }

    /// Returns the worst level.
    pub(crate) fn level(&self) -> FindingLevel {
        self.states.values().map(|state| state.level).max().unwrap_or(FindingLevel::Unknown)
    }

    /// Returns the worst sentence, and how many more findings there are.
    pub(crate) fn sentence(&self) -> String {
        let not_well = || self.states.values().filter(|state| state.level > FindingLevel::Ok);
        let worst = not_well().max_by(|a, b| a.level.cmp(&b.level).then(b.since.cmp(&a.since)));
        match (worst, not_well().count()) {
            (None, _) => {
                format!("All is well: {} found no problem.", counted(self.states.len() as u64, "check"))
            }
            (Some(worst), 1) => worst.sentence.clone(),
            (Some(worst), count) => {
                format!("{} Also {}.", worst.sentence, counted(count as u64 - 1, "more finding"))
            }
        }
    }

    /// Returns the list for nexus-alert. A check that could not be made counts as a warning.
    pub(crate) fn problems(&self) -> Vec<nexus_problems::Problem> {
        let problem = |(id, state): (&String, &FindingState)| {
            let level = match state.level {
                FindingLevel::Ok => return None,
                FindingLevel::Unknown | FindingLevel::Warning => nexus_problems::Level::Warning,
                FindingLevel::Critical => nexus_problems::Level::Critical,
            };
            let (sentence, advice) = state.published.clone();
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

impl FindingState {
    fn new(level: FindingLevel, finding: &Finding, now: Timestamp) -> Self {
        let published = (finding.sentence.clone(), finding.advice.clone());
        let (sentence, advice) = published.clone();
        Self { level, since: now, sentence, advice, published, worse: 0, better: 0, is_seen: true }
    }
}

/// Returns the level that `finding` asks for, if the level is `now`.
fn wanted(now: FindingLevel, finding: &Finding) -> FindingLevel {
    match finding.measured {
        // A value improves with hysteresis.
        Some((value, limits)) if finding.level < now => limits.level_on_the_way_back(value).min(now),
        // A check that could not be made does not end a known problem.
        None if finding.level == FindingLevel::Unknown && now > FindingLevel::Unknown => now,
        Some(_) | None => finding.level,
    }
}

#[cfg(test)]
mod tests;
