//! Tests what no single helper can test: pages without a command line, and that no page is missing or left over.

#![expect(clippy::expect_used, reason = "what a test needs and does not find ends it")]

use std::fs;
use std::path::Path;

use nexus_pages::{Result, completions, page, root, settings, shell, units};

/// Names that have a page and are neither a helper nor a unit.
const BY_HAND: [&str; 3] = ["nexus-stack", "nexus-setup", "nexus-upgrade-postgres"];

/// nexus(7), nexus-stack(8), nexus.env(5) and the pages of shell commands agree with the units and .env.example.
#[test]
fn documented() -> Result {
    page::of_hand("nexus", 7, "")?;
    for name in BY_HAND {
        page::of_hand(name, 8, "")?;
    }
    page::of_hand("nexus.env", 5, &settings::page()?)
}

/// A new helper must have the test `documented`: without it a missing page would go unnoticed.
#[test]
fn every_helper_tests_its_page() {
    for helper in names("helpers").iter().filter(|name| name.starts_with("nexus-")) {
        let sources = format!("helpers/{helper}/src");
        let tests = text_below(&root().join(&sources));
        assert!(
            tests.contains("nexus_pages::helper::<"),
            "{sources}: no test `documented`, as in the args.rs of other helpers, which checks docs/man and docs/completions"
        );
    }
}

/// `systemctl help UNIT` finds the page of every unit.
#[test]
fn every_unit_names_a_page_that_is_there() -> Result {
    for unit in units::all()? {
        let page = unit.page().unwrap_or_else(|| panic!("units/{} has no Documentation=man:…", unit.name));
        let (name, section) = page.trim_end_matches(')').split_once('(').expect("man:NAME(SECTION)");
        let path = format!("docs/man/man{section}/{name}.{section}");
        assert!(
            root().join(&path).exists(),
            "units/{}: Documentation=man:{page}, but there is no {path}",
            unit.name
        );
    }
    Ok(())
}

/// No page or completion describes a program that no longer exists.
#[test]
fn no_page_is_left_over() -> Result {
    let helpers = names("helpers");
    let units: Vec<String> = units::all()?.into_iter().map(|unit| unit.name).collect();
    for file in names("docs/man/man8") {
        let about = file.trim_end_matches(".8");
        let is_known = BY_HAND.contains(&about) || helpers.iter().chain(&units).any(|name| name == about);
        assert!(is_known, "docs/man/man8/{file} describes no helper and no unit: remove it");
    }
    for (shell, before, after) in [("bash", "", ""), ("zsh", "_", ""), ("fish", "", ".fish")] {
        for file in names(&format!("docs/completions/{shell}")) {
            let about = file.trim_start_matches(before).trim_end_matches(after);
            assert!(
                BY_HAND[1..].contains(&about) || helpers.iter().any(|name| name == about),
                "docs/completions/{shell}/{file} is for no command: remove it"
            );
        }
    }
    Ok(())
}

/// The `--help` of each shell command has the same options as its page.
#[test]
fn shell_commands_and_their_pages_have_the_same_options() -> Result {
    for name in &BY_HAND[1..] {
        let script = fs::read_to_string(root().join(format!("install.d/setup/{name}"))).expect("a command");
        let help = shell::help(name)?;
        let page = fs::read_to_string(root().join(format!("docs/man/by-hand/{name}.8"))).expect("its page");
        let (_, page) = page.split_once(".SH OPTIONS").expect("its options");
        for option in help.split_whitespace().filter(|word| word.starts_with("--") && *word != "--help") {
            let option = option.trim_end_matches([':', ';', ',']);
            assert!(
                page.contains(&option.replace('-', "\\-")),
                "docs/man/by-hand/{name}.8 does not describe {option}"
            );
            assert!(script.contains(option), "{name} --help names {option}, which it does not accept");
        }
    }
    Ok(())
}

/// Shell commands have completions like the helpers.
#[test]
fn shell_commands_have_completions() -> Result {
    BY_HAND[1..].iter().try_for_each(|name| completions(&mut shell::command(name)?))
}

/// Some program reads every documented setting, and Compose has the documented default.
#[test]
fn every_setting_is_read() -> Result {
    let compose = fs::read_to_string(root().join("compose/docker-compose.yml")).expect("docker-compose.yml");
    let readers = text_below(&root().join("helpers"));
    let accounts = fs::read_to_string(root().join("install.d/setup/accounts.sh")).expect("accounts.sh");
    let units = units::all()?;
    for setting in settings::all()? {
        let in_compose = compose.split(&format!("${{{}:-", setting.name)).nth(1);
        // In a unit's shell line, systemd turns two dollar signs into one.
        let of_unit = format!("\"$${}\"", setting.name);
        let used = in_compose.is_some()
            || readers.contains(&format!("\"{}\"", setting.name))
            || accounts.contains(&format!("nexus.env {})", setting.name))
            || units.iter().any(|unit| unit.all("ExecCondition").any(|line| line.contains(&of_unit)));
        assert!(used, "{} is in .env.example, but no program reads it", setting.name);
        if let Some(default) = in_compose.and_then(|rest| rest.split('}').next())
            && !setting.default.is_empty()
        {
            assert_eq!(default, setting.default, "{}: docker-compose.yml and .env.example", setting.name);
        }
    }
    Ok(())
}

fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// Returns the text of all Rust sources below a directory.
fn text_below(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &text_below(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).expect("a source");
        }
    }
    text
}
