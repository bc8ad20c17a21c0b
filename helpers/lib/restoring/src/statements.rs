//! Splits SQL text into statements and their tokens, as PostgreSQL's scanner does: enough to find
//! the end and the subject of a statement. (PostgreSQL manual, "Lexical Structure".)

use std::fmt;

/// A token of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A keyword or an unquoted name, in lower case as PostgreSQL folds it.
    Word(String),
    /// A quoted name, without its quotes.
    Quoted(String),
    /// A string constant in any form, without its content.
    Text,
    /// Any other character.
    Symbol(char),
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text without the semicolon.
    pub text: String,
    /// The tokens, each with its position in `text`.
    pub tokens: Vec<(usize, Token)>,
}

/// The error for an element that is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed {
    what: &'static str,
    at: usize,
}

impl fmt::Display for Unclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} is never closed", self.what, self.at)
    }
}

impl std::error::Error for Unclosed {}

/// Splits `sql`. Leaves out lines between statements that begin with a backslash: they are commands
/// of psql.
///
/// # Errors
/// [`Unclosed`].
pub fn split(sql: &str) -> Result<Vec<Statement>, Unclosed> {
    let mut scanner = Scanner { sql, at: 0, entries: Vec::new() };
    let mut statements = Vec::new();
    let mut tokens: Vec<(usize, Token)> = Vec::new();
    while let Some((begin, token)) = scanner.next(tokens.is_empty())? {
        if token == Token::Symbol(';') {
            if let Some((first, _)) = tokens.first() {
                let first = *first;
                let relative = tokens.drain(..).map(|(at, token)| (at - first, token)).collect();
                statements
                    .push(Statement { text: sql[first..begin].trim_end().to_owned(), tokens: relative });
            }
        } else {
            tokens.push((begin, token));
        }
    }
    match tokens.first() {
        // A statement without a semicolon: the text is truncated.
        Some((at, _)) => Err(Unclosed { what: "the statement", at: *at }),
        None => Ok(statements),
    }
}

/// Splits a script of pg_restore before each of its entries. Returns the text before the first
/// entry, then each entry. Ignores text that looks like the start of an entry inside a string or a
/// name.
///
/// # Errors
/// [`Unclosed`].
pub fn entries(script: &str) -> Result<Vec<&str>, Unclosed> {
    let mut scanner = Scanner { sql: script, at: 0, entries: Vec::new() };
    while scanner.next(false)?.is_some() {}
    let mut pieces = Vec::new();
    let mut begin = 0;
    for end in scanner.entries.into_iter().chain([script.len()]) {
        pieces.push(&script[begin..end]);
        begin = end;
    }
    Ok(pieces)
}

/// The start of the comment before each entry of a script.
const ENTRY: &str = "-- Name: ";

struct Scanner<'a> {
    sql: &'a str,
    at: usize,
    /// The positions of the comments that introduce entries.
    entries: Vec<usize>,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.sql[self.at..]
    }

    /// Returns the next token and its position.
    fn next(&mut self, between_statements: bool) -> Result<Option<(usize, Token)>, Unclosed> {
        loop {
            let begin = self.at;
            let Some(first) = self.rest().chars().next() else { return Ok(None) };
            if first.is_whitespace() {
                self.at += first.len_utf8();
            } else if self.rest().starts_with("--") || (first == '\\' && between_statements) {
                if self.rest().starts_with(ENTRY) {
                    self.entries.push(self.at);
                }
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                self.comment()?;
            } else {
                return self.token(first).map(|token| Some((begin, token)));
            }
        }
    }

    fn token(&mut self, first: char) -> Result<Token, Unclosed> {
        let begin = self.at;
        match first {
            '\'' => self.quoted('\'', false).map(|_| Token::Text),
            '"' => self.quoted('"', false).map(Token::Quoted),
            '$' => self.dollar_quoted(),
            c if c.is_ascii_digit() || is_name_start(c) => {
                let length = self.rest().find(|c| !is_name_part(c)).unwrap_or(self.rest().len());
                self.at += length;
                let word = self.sql[begin..self.at].to_ascii_lowercase();
                let prefixes_text = matches!(word.as_str(), "e" | "b" | "x" | "n");
                if prefixes_text && self.rest().starts_with('\'') {
                    return self.quoted('\'', word == "e").map(|_| Token::Text);
                }
                if word == "u" && self.rest().starts_with("&'") {
                    self.at += 1;
                    return self.quoted('\'', false).map(|_| Token::Text);
                }
                Ok(Token::Word(word))
            }
            other => {
                self.at += other.len_utf8();
                Ok(Token::Symbol(other))
            }
        }
    }

    /// Returns the text between `quote`s. A doubled quote stands for itself; with `escapes`, a
    /// backslash escapes the next character.
    fn quoted(&mut self, quote: char, escapes: bool) -> Result<String, Unclosed> {
        let begin = self.at;
        let mut content = String::new();
        let mut chars = self.sql[begin + 1..].char_indices().peekable();
        while let Some((offset, c)) = chars.next() {
            if c == '\\' && escapes {
                chars.next();
            } else if c != quote {
                content.push(c);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                content.push(quote);
            } else {
                self.at = begin + 1 + offset + 1;
                return Ok(content);
            }
        }
        Err(Unclosed { what: if quote == '"' { "the name" } else { "the text" }, at: begin })
    }

    /// Reads `$tag$ … $tag$`, or a single dollar.
    fn dollar_quoted(&mut self) -> Result<Token, Unclosed> {
        let begin = self.at;
        let after = &self.sql[begin + 1..];
        let is_tag =
            |tag: &&str| !tag.starts_with(|c: char| c.is_ascii_digit()) && tag.chars().all(is_name_part);
        let Some(tag) = after.find('$').map(|length| &after[..length]).filter(is_tag) else {
            self.at += 1;
            return Ok(Token::Symbol('$'));
        };
        let delimiter = format!("${tag}$");
        let body = begin + delimiter.len();
        match self.sql[body..].find(&delimiter) {
            Some(end) => {
                self.at = body + end + delimiter.len();
                Ok(Token::Text)
            }
            None => Err(Unclosed { what: "the text", at: begin }),
        }
    }

    /// Skips `/* … */`, which may be nested.
    fn comment(&mut self) -> Result<(), Unclosed> {
        let begin = self.at;
        let mut depth = 0;
        loop {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if self.rest().starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else if let Some(other) = self.rest().chars().next() {
                self.at += other.len_utf8();
            } else {
                return Err(Unclosed { what: "the comment", at: begin });
            }
        }
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

/// A dollar inside a name does not quote.
fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit() || c == '$'
}

#[cfg(test)]
#[path = "statements_tests.rs"]
mod tests;
