//! Masking secrets by their form in lines that leave the journal: what looks like one is masked, and a word too many
//! rather than one too few. (Which secrets there are this helper does not know: it may not read them.)

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands where a secret was.
pub(crate) const MASKED: &str = "[masked]";

/// A form of secret, and what is left of it.
struct Rule {
    form: Regex,
    left: &'static str,
}

/// A name that says that a secret follows: part of a longer one too, `POSTGRES_PASSWORD` or `x-api-key`.
const NAME: &str = r"(?i)[\w.-]*(?:passw|passphrase|pwd|secret|token|key|credential|auth|cookie|signature|identity|\bsig\b|\bpin\b|\bpass\b)[\w.-]*";

/// What may follow the word "password" in a sentence that holds none.
const PLAIN_WORDS: [&str; 26] = [
    "and",
    "as",
    "at",
    "authentication",
    "by",
    "cannot",
    "does",
    "expired",
    "failed",
    "file",
    "for",
    "from",
    "has",
    "hash",
    "in",
    "is",
    "missing",
    "must",
    "needs",
    "not",
    "of",
    "on",
    "or",
    "required",
    "was",
    "with",
];

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let value = r#"(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\S+)"#;
    let named = format!(r#"({NAME}["']?(?:\s*=>?\s*|:)){value}"#);
    // Not after a slash: "…/postgres_password: Permission denied" names a file.
    let headed = format!(r#"((?:^|[^\w./-]){NAME}["']?\s*:\s+){value}"#);
    [
        // Headers, to the end of the line.
        (r"(?i)((?:authorization|cookie)\s*[=:]\s*).*", "${1}[masked]"),
        // A slash before an @ of a web address: it is in the path, or in a password.
        (r"(?i)\b(https?://)[^\s/?#@]*[/?#]\S*@\S*", "${1}[masked]"),
        // What is between :// and the last @ of the word: a password may hold any sign itself.
        (r"(?i)\b([a-z][a-z0-9+.-]*://)\S*@", "${1}[masked]@"),
        // The path of a web address may be all that protects it (a webhook, a topic of ntfy).
        (r"(?i)\b(https?://[^\s/?#]+[/?#])\S+", "${1}[masked]"),
        (named.as_str(), "${1}[masked]"),
        (headed.as_str(), "${1}[masked]"),
        (r"(?i)\b((?:bearer|basic)\s+)\S+", "${1}[masked]"),
        (r"\b((?:AUTH|requirepass|masterauth)\s+)\S.*", "${1}[masked]"),
        (r"(?i)AGE-SECRET-KEY-\S*", MASKED),
        (r"(?i)SCRAM-SHA-256\$\S+", MASKED),
        // JSON Web Tokens, and keys whose maker has given them a beginning to know them by.
        (r"\beyJ[\w-]{8,}[\w.-]*", MASKED),
        (r"\b(?:gh[a-z]_|github_pat_|glpat-|sk-|pk-|rk-|tk_|xox[a-z]-|AKIA|ASIA|AIza|hf_|npm_|pypi-)\S{8,}", MASKED),
        (r"(?i)[0-9a-f]{32,}", MASKED),
    ]
    .into_iter()
    // A form that does not compile is a fault of this file, which its first test would show.
    .filter_map(|(form, left)| Regex::new(form).ok().map(|form| Rule { form, left }))
    .collect()
});

/// How many forms there are; all of them must have been understood.
#[cfg(test)]
const FORMS: usize = 13;

/// "password hunter2", "password is hunter2", "--password hunter2".
static SPOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)((?:password|passphrase|passwd|pwd|secret|token)\s+(?:(?:is|was)\s+)?)(\S+)").ok()
});

/// Words of random signs.
static LONG_WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+_=-]{20,}").ok());

/// Masks line after line; it remembers when it is within a private key of several lines.
#[derive(Default)]
pub(crate) struct Mask {
    is_in_key: bool,
}

impl Mask {
    /// The line without its secrets.
    pub(crate) fn line(&mut self, line: &str) -> String {
        let begins = line.find("-----BEGIN").filter(|at| line[*at..].contains("PRIVATE KEY"));
        if self.is_in_key || begins.is_some() {
            self.is_in_key = !line.contains("-----END");
            let before = if self.is_in_key { begins } else { None };
            return format!("{}{MASKED}", before.map_or_else(String::new, |at| one_line(&line[..at])));
        }
        one_line(line)
    }
}

/// A text of one line without its secrets.
pub(crate) fn one_line(line: &str) -> String {
    let mut line = line.to_owned();
    for Rule { form, left } in RULES.iter() {
        if let Cow::Owned(masked) = form.replace_all(&line, *left) {
            line = masked;
        }
    }
    line = replaced(SPOKEN.as_ref(), &line, |found| {
        let word = found[2].trim_end_matches([',', '.', ':', ';']);
        if PLAIN_WORDS.contains(&word.to_lowercase().as_str()) {
            found[0].to_owned()
        } else {
            format!("{}{MASKED}", &found[1])
        }
    });
    replaced(LONG_WORD.as_ref(), &line, |found| {
        if is_random(&found[0]) { MASKED.to_owned() } else { found[0].to_owned() }
    })
}

fn replaced(form: Option<&Regex>, line: &str, with: impl Fn(&Captures<'_>) -> String) -> String {
    form.map_or_else(|| line.to_owned(), |form| form.replace_all(line, with).into_owned())
}

/// Small letters, capitals and digits in one word: neither a name nor a set's number looks so.
fn is_random(word: &str) -> bool {
    let has = |kind: fn(&char) -> bool| word.chars().filter(kind).count();
    has(char::is_ascii_lowercase) > 1 && has(char::is_ascii_uppercase) > 1 && has(char::is_ascii_digit) > 1
}
