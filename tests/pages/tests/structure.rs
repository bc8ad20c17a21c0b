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

/// Returns the code of each file of `helper`, by its module's path. Leaves out comments, unit tests,
/// and a `main.rs` beside `lib.rs`, which is another crate.
fn modules(helper: &str) -> BTreeMap<String, String> {
    let source = root().join("helpers").join(helper).join("src");
    let mut modules = BTreeMap::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !(path.ends_with("main.rs") && source.join("lib.rs").exists())
            {
                let text = fs::read_to_string(&path).expect("a source file");
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
                let code: Vec<&str> = code.lines().filter_map(|line| line.split("//").next()).collect();
                let name = path.strip_prefix(&source).expect("below src").display().to_string();
                let name = ["/lib.rs", "/main.rs", "/mod.rs", ".rs"]
                    .iter()
                    .fold(format!("crate/{name}"), |name, end| name.trim_end_matches(end).to_owned());
                modules.insert(name.replace('/', "::"), code.join("\n"));
            }
        }
    }
    modules
}

/// Returns the modules among `all` that `code` of module `own` names.
fn used(own: &str, code: &str, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c| !is_path(c)).filter(|word| !word.ends_with("::"));
    let mut paths: Vec<String> = words.map(str::to_owned).collect();
    for (at, _) in code.match_indices("::{") {
        let before = code[..at].rsplit(|c| !is_path(c)).next().unwrap_or_default();
        let items = code[at + 3..].split('}').next().unwrap_or_default().split(',');
        paths.extend(items.map(|item| format!("{before}::{}", item.trim())));
    }
    let module = |path: String| {
        let mut path = match path.split_once("::")? {
            ("crate", _) => path,
            ("super", rest) => format!("{}::{rest}", own.rsplit_once("::")?.0),
            ("self", rest) => format!("{own}::{rest}"),
            _ => format!("{own}::{path}"),
        };
        while !all.contains_key(&path) {
            path.truncate(path.rfind("::")?);
        }
        (path != own).then_some(path)
    };
    paths.into_iter().filter_map(module).collect()
}

#[test]
fn no_file_uses_a_file_that_leads_back_to_it() {
    for helper in ["nexus-alert", "nexus-api", "nexus-docker"] {
        let modules = modules(helper);
        let uses: BTreeMap<&String, _> =
            modules.iter().map(|(name, code)| (name, used(name, code, &modules))).collect();
        assert!(uses.values().any(|used| used.len() > 1), "{helper}: no file uses two others");
        for file in modules.keys() {
            let (mut reached, mut left) = (BTreeSet::new(), vec![file]);
            while let Some(next) = left.pop() {
                left.extend(uses[next].iter().filter(|used| reached.insert(*used)));
            }
            assert!(!reached.contains(file), "helpers/{helper}: {file} uses files that lead back to it");
        }
    }
}
