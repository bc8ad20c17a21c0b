//! Rules as settings write them: `conversation=90d, observation=30d, *=5y`. Text in, rules or the place of the mistake out.

use std::fmt;
use std::time::Duration;

/// The longest age or time to live: a thousand years of 365.25 days.
const LONGEST: Duration = Duration::from_secs(1000 * 31_557_600);

/// Stands for every type that no other rule names.
const OTHERS: &str = "*";

/// How old rows of a type may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The type; nothing for all that no other rule names.
    pub(crate) kind: Option<String>,
    /// Nothing: they are kept for ever.
    pub(crate) age: Option<Duration>,
    /// As it was written.
    pub(crate) text: String,
}

/// Ages by type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(pub(crate) Vec<Rule>);

/// A time to live for keys of Redis that have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRule {
    /// How their names begin.
    pub(crate) prefix: String,
    /// How long they live from the moment they are found.
    pub(crate) ttl: Duration,
}

/// Times to live by prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyRules(pub(crate) Vec<KeyRule>);

/// Which rule is wrong, where it begins, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    number: usize,
    /// In characters, from 1.
    at: usize,
    text: String,
    why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}, \"{}\" at character {}: {}", self.number, self.text, self.at, self.why)
    }
}

impl std::error::Error for Wrong {}

/// A rule that was cut out of the text and at its `=`.
struct Cut<'a> {
    number: usize,
    at: usize,
    text: &'a str,
    name: &'a str,
    value: &'a str,
}

impl Cut<'_> {
    fn wrong(&self, why: impl Into<String>) -> Wrong {
        Wrong { number: self.number, at: self.at, text: self.text.to_owned(), why: why.into() }
    }

    fn age(&self) -> Result<Duration, Wrong> {
        if self.value.starts_with('-') {
            return Err(self.wrong("an age cannot be negative"));
        }
        let age = humantime::parse_duration(self.value).map_err(|cause| {
            self.wrong(format!("\"{}\" is no age ({cause}); write for instance 90d, 12h, 5y", self.value))
        })?;
        match age {
            Duration::ZERO => Err(self.wrong("an age must be more than nothing")),
            age if age > LONGEST => {
                Err(self.wrong("that is more than a thousand years; for ever is \"keep\""))
            }
            age => Ok(age),
        }
    }
}

fn cut(text: &str) -> Result<Vec<Cut<'_>>, Wrong> {
    let mut cuts: Vec<Cut<'_>> = Vec::new();
    let mut at = 1;
    for (index, piece) in text.split(',').enumerate() {
        let indent = piece.chars().take_while(|c| c.is_whitespace()).count();
        let (trimmed, begins) = (piece.trim(), at + indent);
        at += piece.chars().count() + 1;
        let (name, value) =
            trimmed.split_once('=').map_or((trimmed, None), |(n, v)| (n.trim(), Some(v.trim())));
        let mut cut = Cut { number: index + 1, at: begins, text: trimmed, name, value: "" };
        if trimmed.is_empty() {
            return Err(cut.wrong("there is no rule between two commas or at the end"));
        }
        let Some(value) = value else { return Err(cut.wrong("a rule is written name=age")) };
        if name.is_empty() {
            return Err(cut.wrong("there is no name before the ="));
        }
        if let Some(other) = cuts.iter().find(|other| other.name == name) {
            return Err(cut.wrong(format!("rule {} is about \"{name}\" too", other.number)));
        }
        cut.value = value;
        cuts.push(cut);
    }
    Ok(cuts)
}

impl Rules {
    /// Parses them. An empty text is no rule.
    ///
    /// # Errors
    /// The first rule that is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let rules = cut(text)?.into_iter().map(|cut| {
            if cut.name != OTHERS && cut.name.contains('*') {
                return Err(cut.wrong("a * stands alone, for every type that no other rule names"));
            }
            let kind = (cut.name != OTHERS).then(|| cut.name.to_owned());
            let age = if cut.value == "keep" { None } else { Some(cut.age()?) };
            Ok(Rule { kind, age, text: cut.text.to_owned() })
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// The types that have a rule of their own.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.0.iter().filter_map(|rule| rule.kind.clone()).collect()
    }
}

impl KeyRules {
    /// Parses them: `session:=1d, scratch:=2h`. An empty text is no rule.
    ///
    /// # Errors
    /// The first rule that is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let rules = cut(text)?.into_iter().map(|cut| {
            let ttl = cut.age()?;
            if ttl < Duration::from_secs(1) {
                return Err(cut.wrong("Redis counts in seconds"));
            }
            Ok(KeyRule { prefix: cut.name.to_owned(), ttl })
        });
        rules.collect::<Result<_, _>>().map(Self)
    }
}

/// An age as `--older-than` takes it.
///
/// # Errors
/// Why it is none.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let cut = Cut { number: 1, at: 1, text, name: text, value: text };
    cut.age().map_err(|wrong| wrong.why)
}

#[cfg(test)]
mod tests;
