//! Generated files in the repository: installing needs no second build, and a review shows every change.

use std::fs;

use trycmd::TestCases;

use crate::{Result, root};

/// Compares `content` with the file `path`, relative to the repository's root. With `NEXUS_WRITE_PAGES=1`, writes it there.
///
/// # Errors
/// Names the first line that differs, and the command that updates the file.
pub fn check(path: &str, content: &str) -> Result {
    let file = root().join(path);
    // Some generators end a line with blanks.
    let content = content.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>();
    let stored = fs::read_to_string(&file).unwrap_or_default();
    if stored == content {
        return Ok(());
    }
    if std::env::var_os("NEXUS_WRITE_PAGES").is_some() {
        let written =
            file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, content));
        return written.map_err(|error| format!("cannot write {path}: {error}"));
    }
    let longest = content.lines().count().max(stored.lines().count());
    let (mut new, mut old) = (content.lines(), stored.lines());
    let (line, new, old) = (1..=longest)
        .map(|line| (line, new.next(), old.next()))
        .find(|(_, new, old)| new != old)
        .unwrap_or_default();
    Err(format!(
        "{path} is out of date: its line {line} is {old:?} and should be {new:?}. \
         Update it: NEXUS_WRITE_PAGES=1 cargo test --release --workspace documented"
    ))
}

/// Returns test cases that depend neither on the machine's settings nor on its terminal.
pub fn cases(credentials: &str) -> TestCases {
    let cases = TestCases::new();
    cases.env("NEXUS_SETTINGS", "/nonexistent").env("NEXUS_CREDENTIALS", credentials).env("COLUMNS", "100");
    cases
}

/// Compares what the helper `name` prints on the command line with its files in `tests/cli`.
pub fn command_line(name: &str) {
    let files = root().join("tests/cli").join(name);
    cases("/nonexistent").case(files.join("*.toml")).case(files.join("*.trycmd"));
}
