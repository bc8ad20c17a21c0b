//! Parses the rules of the settings: `conversation=90d, observation=30d, *=5y`. An error names the rule and its position.

use std::fmt;
use std::time::Duration;

/// The longest age or time to live: a thousand years of 365.25 days.
const LONGEST: Duration = Duration::from_secs(1000 * 31_557_600);

/// The name for every type that no other rule names.
const OTHERS: &str = "*";

/// The age at which rows of a type are forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The type; `None` for every type that no other rule names.
    pub(crate) kind: Option<String>,
    /// The age; `None` keeps them for ever.
    pub(crate) age: Option<Duration>,
    /// The rule as written.
    pub(crate) text: String,
}

/// Ages by type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(pub(crate) Vec<Rule>);

/// A time to live for Redis keys that have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRule {
    pub(crate) prefix: String,
    /// The time to live, from the run that finds the key.
    pub(crate) ttl: Duration,
}

/// Times to live by prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyRules(pub(crate) Vec<KeyRule>);

/// An invalid rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleError {
    /// The number of the rule, from 1.
    number: usize,
    /// The character at which it begins, from 1.
    at: usize,
    text: String,
    why: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}, \"{}\" at character {}: {}", self.number, self.text, self.at, self.why)
    }
}

impl std::error::Error for RuleError {}

/// A rule split at its `=`.
struct RawRule<'a> {
    number: usize,
    at: usize,
    text: &'a str,
    name: &'a str,
    value: &'a str,
}

impl RawRule<'_> {
    fn error(&self, why: impl Into<String>) -> RuleError {
        RuleError { number: self.number, at: self.at, text: self.text.to_owned(), why: why.into() }
    }

    fn age(&self) -> Result<Duration, RuleError> {
        if self.value.starts_with('-') {
            return Err(self.error("an age cannot be negative"));
        }
        let age = humantime::parse_duration(self.value).map_err(|cause| {
            self.error(format!(
                "\"{}\" is not an age ({cause}); expected for instance 90d, 12h, 5y",
                self.value
            ))
        })?;
        match age {
            Duration::ZERO => Err(self.error("an age must be more than zero")),
            age if age > LONGEST => {
                Err(self.error("more than a thousand years; to keep the rows for ever: \"keep\""))
            }
            age => Ok(age),
        }
    }
}

fn split(text: &str) -> Result<Vec<RawRule<'_>>, RuleError> {
    let mut rules: Vec<RawRule<'_>> = Vec::new();
    let mut at = 1;
    for (index, piece) in text.split(',').enumerate() {
        let indent = piece.chars().take_while(|c| c.is_whitespace()).count();
        let (trimmed, begins) = (piece.trim(), at + indent);
        at += piece.chars().count() + 1;
        let (name, value) =
            trimmed.split_once('=').map_or((trimmed, None), |(n, v)| (n.trim(), Some(v.trim())));
        let mut rule = RawRule { number: index + 1, at: begins, text: trimmed, name, value: "" };
        if trimmed.is_empty() {
            return Err(rule.error("empty rule; remove the extra comma"));
        }
        let Some(value) = value else { return Err(rule.error("expected name=age")) };
        if name.is_empty() {
            return Err(rule.error("there is no name before the ="));
        }
        if let Some(other) = rules.iter().find(|other| other.name == name) {
            return Err(rule.error(format!("rule {} names \"{name}\" too", other.number)));
        }
        rule.value = value;
        rules.push(rule);
    }
    Ok(rules)
}

impl Rules {
    /// Parses the rules of NEXUS_TTL. An empty text has none.
    ///
    /// # Errors
    /// The first invalid rule.
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let rules = split(text)?.into_iter().map(|rule| {
            if rule.name != OTHERS && rule.name.contains('*') {
                return Err(rule.error("* must stand alone, for every type that no other rule names"));
            }
            let kind = (rule.name != OTHERS).then(|| rule.name.to_owned());
            let age = if rule.value == "keep" { None } else { Some(rule.age()?) };
            Ok(Rule { kind, age, text: rule.text.to_owned() })
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the types that a rule names.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.0.iter().filter_map(|rule| rule.kind.clone()).collect()
    }
}

impl KeyRules {
    /// Parses the rules of NEXUS_REDIS_TTL: `session:=1d, scratch:=2h`. An empty text has none.
    ///
    /// # Errors
    /// The first invalid rule.
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let rules = split(text)?.into_iter().map(|rule| {
            let ttl = rule.age()?;
            if ttl < Duration::from_secs(1) {
                return Err(rule.error("expected at least 1s, because Redis counts in seconds"));
            }
            Ok(KeyRule { prefix: rule.name.to_owned(), ttl })
        });
        rules.collect::<Result<_, _>>().map(Self)
    }
}

/// Parses the age of `--older-than`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let rule = RawRule { number: 1, at: 1, text, name: text, value: text };
    rule.age().map_err(|error| error.why)
}

#[cfg(test)]
mod tests;
