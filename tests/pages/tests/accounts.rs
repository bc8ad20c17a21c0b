//! Tests `NEXUS_USER`: with another account, no line of a unit, of sysusers.d or of tmpfiles.d still names nexus.

#![expect(clippy::expect_used, reason = "what a test needs and does not find ends it")]

use std::fs;
use std::path::Path;
use std::process::Command;

use nexus_pages::{Result, root, units};

const ACCOUNTS: [(&str, &str); 3] =
    [("nexus", "memory"), ("nexus-api", "memory-api"), ("nexus-proxy", "memory-proxy")];

/// Runs a function of install.d/setup/jobs-user.sh on a file, and returns its output.
fn printed(function: &str, file: &Path) -> Vec<String> {
    let script = r#". install.d/setup/jobs-user.sh && jobs_user=memory && "$0" "$1""#;
    let path = file.canonicalize().expect("the file");
    let run = Command::new("bash").current_dir(root()).args(["-euc", script, function]).arg(path).output();
    let run = run.expect("bash");
    assert!(run.status.success(), "{function} {}: {}", file.display(), String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).expect("UTF-8");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Replaces the accounts in a line. A name counts only as a whole word, not as part of a path, a unit's name or a longer name.
fn renamed(line: &str) -> String {
    let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || "_./@%-(*".contains(c);
    // A program may have the name of an account.
    let program = if line.starts_with("Exec") { line.find(' ').unwrap_or(line.len()) } else { 0 };
    let (program, rest) = line.split_at(program);
    let rest = rest.split_inclusive(|c| !is_of_a_word(c)).map(|piece| {
        let word = piece.trim_end_matches(|c| !is_of_a_word(c));
        let other = ACCOUNTS.iter().find(|(name, _)| *name == word).map_or(word, |(_, other)| other);
        format!("{other}{}", &piece[word.len()..])
    });
    format!("{program}{}", rest.collect::<String>())
}

/// Returns each line with its section's heading.
fn in_sections<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut all = Vec::new();
    for line in lines {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else {
            all.push((section.clone(), line.to_owned()));
        }
    }
    all
}

#[test]
fn a_drop_in_replaces_every_line_of_a_unit_that_names_an_account() -> Result {
    let mut units_with_accounts = 0;
    for unit in units::all()? {
        let file = root().join("units").join(&unit.name);
        let text = fs::read_to_string(&file).expect("a unit");
        let mut wanted = in_sections(text.lines().filter(|line| !line.starts_with(['#', ';'])));
        wanted.retain(|(_, line)| renamed(line) != *line);
        for (_, line) in &mut wanted {
            *line = renamed(line);
        }
        let drop_in = printed("drop_in_of", &file);
        assert_eq!(in_sections(drop_in.iter().map(String::as_str)), wanted, "units/{}", unit.name);
        units_with_accounts += usize::from(!wanted.is_empty());
    }
    assert!(
        units_with_accounts > 20,
        "only {units_with_accounts} units name an account: does this test read all of them?"
    );
    Ok(())
}

#[test]
fn sysusers_and_tmpfiles_name_no_account_of_before() {
    for kind in ["sysusers.d", "tmpfiles.d"] {
        let file = root().join("units").join(kind).join("nexus.conf");
        let text = fs::read_to_string(&file).expect("the file");
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let wanted: Vec<String> = lines.clone().map(|line| fields(&renamed(line))).collect();
        assert_ne!(wanted, lines.map(fields).collect::<Vec<_>>(), "{kind} names no account");
        let got: Vec<String> = printed("with_jobs_user", &file)
            .iter()
            .filter(|line| !line.is_empty())
            .map(|line| fields(line))
            .collect();
        assert_eq!(got, wanted, "{kind}");
    }
}

fn fields(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
