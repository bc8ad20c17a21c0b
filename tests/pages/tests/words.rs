//! Tests that the quotations and links in the pages for people are right.

#![expect(clippy::expect_used, reason = "what a test needs and does not find ends it")]

use std::fs;
use std::path::{Path, PathBuf};

use nexus_pages::root;

/// Each heading in backticks in TROUBLESHOOTING.md is a text of the code, so that a search for an error finds it. `…` stands for
/// the parts that vary.
#[test]
fn troubleshooting_quotes_the_code() {
    let sources: Vec<String> =
        ["helpers", "install.d", "compose"].iter().map(|part| words_below(&root().join(part))).collect();
    let sources = sources.concat();
    let english = quoted("docs/TROUBLESHOOTING.md");
    assert!(english.len() > 20, "{} errors are quoted", english.len());
    for text in &english {
        for part in text.split('…').map(str::trim).filter(|part| part.len() > 2) {
            assert!(
                sources.contains(part),
                "docs/TROUBLESHOOTING.md quotes \"{text}\", but the code does not have \"{part}\""
            );
        }
    }
    assert_eq!(english, quoted("docs/es/TROUBLESHOOTING.md"), "the same errors in both languages");
}

/// Every link leads to an existing file.
#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            checked += 1;
            let linked = page.parent().expect("a directory").join(path);
            assert!(linked.exists(), "{} links to {target}, which does not exist", page.display());
        }
    }
    assert!(checked > 20, "{checked} links were found");
}

/// Returns the pages in the root and in docs/.
fn pages() -> Vec<PathBuf> {
    let directories = ["", "docs", "docs/es", "docs/examples"].map(|directory| root().join(directory));
    let files = directories.iter().flat_map(|directory| fs::read_dir(directory).expect("a directory"));
    let paths = files.map(|file| file.expect("a file").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Returns the headings that are one text in backticks.
fn quoted(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).expect("the page");
    let headings = text.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    headings.map(str::to_owned).collect()
}

/// Returns all text below a directory with one blank between words, and joins lines that Rust joins.
fn words_below(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &words_below(&path);
        } else if let Ok(source) = fs::read_to_string(&path) {
            text += &source.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
    text
}
