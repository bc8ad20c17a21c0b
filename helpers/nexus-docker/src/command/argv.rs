//! The type of a command line.

use std::ops::Deref;

/// The arguments of a `docker` command line. Only the modules of [`command`](crate::command) can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argv(Vec<String>);

impl Argv {
    pub(super) fn new(words: &[&str]) -> Self {
        Self(Vec::new()).words(words)
    }

    pub(super) fn word(mut self, word: impl Into<String>) -> Self {
        self.0.push(word.into());
        self
    }

    pub(super) fn words<W: AsRef<str>>(mut self, words: &[W]) -> Self {
        self.0.extend(words.iter().map(|word| word.as_ref().to_owned()));
        self
    }
}

impl Deref for Argv {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}
