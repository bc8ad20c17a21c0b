//! Each row of docs/PROMISES.md names code and tests that exist.

use std::fs;

use nexus_pages::root;

const PAGE: &str = "docs/PROMISES.md";

/// The words before a test's name where it is defined or called: in Rust, in Python, in shell scripts.
const KEYWORDS: [&str; 3] = ["fn", "def", "check"];

/// Fails unless `path`, relative to the repository's root, exists.
fn exists(row: &str, path: &str) {
    assert!(root().join(path).exists(), "{PAGE}: {path} does not exist, in: {row}");
}

/// Returns whether `text` defines or runs the test `name`.
fn has_test(text: &str, name: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    words.windows(2).any(|pair| KEYWORDS.contains(&pair[0]) && pair[1] == name)
}

#[test]
fn each_promise_names_code_and_tests_that_exist() {
    let page = fs::read_to_string(root().join(PAGE)).expect(PAGE);
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(!rows.is_empty(), "{PAGE}: no rows");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_promise, code, tests] = cells[..] else { panic!("{PAGE}: three cells, not: {row}") };
        let links: Vec<&str> =
            code.split("](../").skip(1).map(|rest| rest.split(')').next().unwrap_or_default()).collect();
        assert!(!links.is_empty(), "{PAGE}: no code in: {row}");
        for path in links {
            exists(row, path);
        }
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{PAGE}: no test in: {row}");
        for test in named {
            let (path, name) = test.split_once(": ").expect("`path: name`");
            exists(row, path);
            let text = fs::read_to_string(root().join(path)).expect("a test's file");
            assert!(has_test(&text, name), "{PAGE}: {path} has no test {name}");
        }
    }
}

#[test]
fn a_missing_test_is_noticed() {
    assert!(has_test("check stock_tools_restore\n", "stock_tools_restore"));
    assert!(has_test("    fn stock_tools() {", "stock_tools"));
    for absent in ["checks stock_tools", "check stock_tools_restore", "stock_tools() {"] {
        assert!(!has_test(absent, "stock_tools"), "{absent}");
    }
}
