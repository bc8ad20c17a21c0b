//! Texts: made-up words, or paragraphs of a file.

use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};

/// Syllables of made-up words.
const SYLLABLES: [&str; 24] = [
    "ka", "lo", "mi", "ne", "ru", "ta", "ve", "so", "pa", "di", "fu", "ge", "ha", "jo", "be", "ci", "ro",
    "sa", "tu", "vi", "na", "mo", "le", "po",
];

/// Returns the paragraphs of a file, which empty lines separate.
pub(super) fn paragraphs(path: &Path) -> Result<Vec<String>> {
    let doing = || format!("reading texts of {}", path.display());
    let text = std::fs::read(path).or_fail_io(doing)?;
    let text = String::from_utf8_lossy(&text).replace('\0', "");
    let texts: Vec<String> =
        text.split("\n\n").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        return Err(Failure::new(Exit::Data, doing()).because("it has none"));
    }
    Ok(texts)
}

/// Returns the word for a number, always the same.
pub(super) fn word_of(number: usize) -> String {
    let mut rest = number + SYLLABLES.len();
    let mut word = String::new();
    while rest > 0 {
        word += SYLLABLES.get(rest % SYLLABLES.len()).copied().unwrap_or_default();
        rest /= SYLLABLES.len();
    }
    word
}
