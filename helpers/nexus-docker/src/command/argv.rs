//! The type of a command line.

use std::ops::Deref;

/// The arguments of a `docker` command line. Only the modules of [`command`](crate::command) can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argv(Vec<String>);

impl Argv {
    /// Makes a command line of the words in a constant.
    pub(super) fn new(words: &'static str) -> Self {
        Self(Vec::new()).words(words)
    }

    /// Adds the words in a constant.
    pub(super) fn words(self, words: &'static str) -> Self {
        words.split_whitespace().fold(self, Self::word)
    }

    /// Adds one word, whatever it contains.
    pub(super) fn word(mut self, word: impl Into<String>) -> Self {
        self.0.push(word.into());
        self
    }

    pub(super) fn all(mut self, words: &[String]) -> Self {
        self.0.extend_from_slice(words);
        self
    }
}

impl Deref for Argv {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}
