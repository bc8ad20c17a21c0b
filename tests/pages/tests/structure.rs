//! Tests that the crates of `helpers/lib` depend only on libraries above them in the table of docs/ARCHITECTURE.md.

#![expect(clippy::expect_used, reason = "what a test needs and does not find ends it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nexus_pages::root;

const PAGE: &str = "docs/ARCHITECTURE.md";

/// Returns the libraries in the page's order, each with its dependencies.
fn documented() -> Vec<(String, BTreeSet<String>)> {
    let page = fs::read_to_string(root().join(PAGE)).expect(PAGE);
    let (_, table) = page.split_once("| library in `helpers/lib/` |").expect("the table of crates");
    table.lines().skip(2).take_while(|line| line.starts_with('|')).map(row).collect()
}

fn row(line: &str) -> (String, BTreeSet<String>) {
    let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    (names(cells[0]).pop_first().expect("a library's name"), names(cells[2]))
}

/// Returns each library's dependencies on others, from its `Cargo.toml`.
fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let folders = fs::read_dir(root().join("helpers/lib")).expect("helpers/lib");
    folders
        .map(|folder| {
            let folder = folder.expect("a folder");
            let toml = fs::read_to_string(folder.path().join("Cargo.toml")).expect("its Cargo.toml");
            let (_, dependencies) = toml.split_once("[dependencies]").expect("dependencies");
            let of_this = dependencies.split("\n[").next().unwrap_or_default();
            let ours =
                of_this.lines().filter_map(|line| line.strip_prefix("nexus-")?.split(['.', ' ']).next());
            (folder.file_name().into_string().expect("UTF-8"), ours.map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn libraries_depend_on_libraries_above_them_as_the_page_says() {
    let documented = documented();
    assert_eq!(
        documented.iter().cloned().collect::<BTreeMap<_, _>>(),
        declared(),
        "{PAGE}: the table of crates"
    );
    let mut above = BTreeSet::new();
    for (library, dependencies) in documented {
        assert!(dependencies.is_subset(&above), "{PAGE}: {library} must be below {dependencies:?}");
        above.insert(library);
    }
}
