//! Masks secrets in text that leaves the journal, by their form. nexus-alert may not read the secrets themselves, so it masks a
//! word too many rather than one too few.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The replacement of a secret.
pub(crate) const MASKED: &str = "[masked]";

/// A form of secret, and its replacement.
struct Rule {
    form: Regex,
    replacement: &'static str,
}

/// A name that announces a secret. It may be part of a longer name, such as `POSTGRES_PASSWORD` or `x-api-key`.
const NAME: &str = r"(?i)[\w.-]*(?:passw|passphrase|pwd|secret|token|key|credential|auth|cookie|signature|identity|\bsig\b|\bpin\b|\bpass\b)[\w.-]*";

/// Words that may follow "password" in a sentence without a secret.
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
        // A slash before the @ of a web address is in the path or in a password.
        (r"(?i)\b(https?://)[^\s/?#@]*[/?#]\S*@\S*", "${1}[masked]"),
        // Everything between :// and the last @ of the word: a password may contain any character.
        (r"(?i)\b([a-z][a-z0-9+.-]*://)\S*@", "${1}[masked]@"),
        // The path of a web address may be a secret (a webhook, a topic of ntfy).
        (r"(?i)\b(https?://[^\s/?#]+[/?#])\S+", "${1}[masked]"),
        (named.as_str(), "${1}[masked]"),
        (headed.as_str(), "${1}[masked]"),
        (r"(?i)\b((?:bearer|basic)\s+)\S+", "${1}[masked]"),
        (r"\b((?:AUTH|requirepass|masterauth)\s+)\S.*", "${1}[masked]"),
        (r"(?i)AGE-SECRET-KEY-\S*", MASKED),
        (r"(?i)SCRAM-SHA-256\$\S+", MASKED),
        // JSON Web Tokens, and keys with a well-known prefix.
        (r"\beyJ[\w-]{8,}[\w.-]*", MASKED),
        (r"\b(?:gh[a-z]_|github_pat_|glpat-|sk-|pk-|rk-|tk_|xox[a-z]-|AKIA|ASIA|AIza|hf_|npm_|pypi-)\S{8,}", MASKED),
        (r"(?i)[0-9a-f]{32,}", MASKED),
    ]
    .into_iter()
    // The first test fails if a form does not compile.
    .filter_map(|(form, replacement)| Regex::new(form).ok().map(|form| Rule { form, replacement }))
    .collect()
});

/// How many forms there are. All of them must compile.
#[cfg(test)]
const FORMS: usize = 13;

/// "password hunter2", "password is hunter2", "--password hunter2".
static SPOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)((?:password|passphrase|passwd|pwd|secret|token)\s+(?:(?:is|was)\s+)?)(\S+)").ok()
});

/// Words that may be random.
static LONG_WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+_=-]{20,}").ok());

/// Masks line after line, and remembers whether it is inside a private key of several lines.
#[derive(Default)]
pub(crate) struct Mask {
    is_in_key: bool,
}

impl Mask {
    /// Masks the secrets of the next line.
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

/// Masks the secrets of a text of one line.
pub(crate) fn one_line(line: &str) -> String {
    let mut line = line.to_owned();
    for Rule { form, replacement } in RULES.iter() {
        if let Cow::Owned(masked) = form.replace_all(&line, *replacement) {
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

/// Returns whether the word mixes lower case, upper case and digits, which no name and no number of a set does.
fn is_random(word: &str) -> bool {
    let has = |kind: fn(&char) -> bool| word.chars().filter(kind).count();
    has(char::is_ascii_lowercase) > 1 && has(char::is_ascii_uppercase) > 1 && has(char::is_ascii_digit) > 1
}
