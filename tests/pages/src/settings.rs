//! Compares the settings in .env.example with the command lines, and makes nexus.env(5) from them.

use std::fs;

use clap::{Arg, Command};

use crate::page::escaped;
use crate::{Result, root};

/// One `NAME=value` of .env.example.
pub struct Setting {
    /// The heading above it.
    pub part: String,
    /// The comment before it. Settings that share a comment have it in the first one.
    pub meaning: String,
    /// Its name, NEXUS_…
    pub name: String,
    /// Its default; empty if it has none.
    pub default: String,
}

/// Returns the settings of .env.example, in order.
///
/// # Errors
/// If the file cannot be read, or a line is neither a comment nor a setting.
pub fn all() -> Result<Vec<Setting>> {
    let path = root().join(".env.example");
    let text = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    let (mut part, mut meaning, mut settings) = (String::new(), String::new(), Vec::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ---- ") {
            title.trim_end_matches('-').trim().clone_into(&mut part);
            meaning.clear();
        } else if let Some(comment) = line.strip_prefix("# ") {
            meaning += &format!("{comment}\n");
        } else if let Some((name, default)) = line.split_once('=') {
            let meaning = std::mem::take(&mut meaning);
            settings.push(Setting {
                part: part.clone(),
                meaning,
                name: name.into(),
                default: default.into(),
            });
        } else if line.is_empty() {
            meaning.clear();
        } else {
            return Err(format!(".env.example: '{line}' is neither a comment nor NAME=value"));
        }
    }
    Ok(settings)
}

/// Checks that .env.example has each setting of the command line and its subcommands, with the same default and range.
///
/// # Errors
/// Names the setting and both defaults.
pub fn agree(command: &Command) -> Result {
    let settings = all()?;
    let mut wrong = Vec::new();
    for (arg, setting) in arguments(command).filter_map(|arg| Some((arg, arg.get_env()?.to_str()?))) {
        let Some((documented, group)) = find(&settings, setting) else {
            wrong.push(format!("{setting} is not in .env.example"));
            continue;
        };
        let default = default_of(arg);
        if documented.default != default {
            wrong.push(format!(
                "{setting}: .env.example says '{}', {} '{default}'",
                documented.default,
                command.get_name()
            ));
        }
        // A range such as "1 to 9" must be the same in both.
        if let Some(range) = range(&arg.get_help().map(ToString::to_string).unwrap_or_default())
            && !group.contains(&range)
        {
            wrong.push(format!("{setting}: --help says {range}, .env.example does not"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Returns the setting, and the comment that it shares with those before it.
fn find<'a>(settings: &'a [Setting], name: &str) -> Option<(&'a Setting, &'a str)> {
    let at = settings.iter().position(|setting| setting.name == name)?;
    let group = settings[..=at].iter().rev().find(|setting| !setting.meaning.is_empty());
    Some((&settings[at], group.map_or("", |setting| &setting.meaning)))
}

fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().chain(command.get_subcommands().flat_map(Command::get_arguments))
}

fn default_of(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    values.join(",")
}

/// Returns the first "A to B" of numbers with units.
fn range(help: &str) -> Option<String> {
    let words: Vec<&str> = help.split_whitespace().collect();
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let range = words.windows(3).find(|w| number(w[0]) && w[1] == "to" && number(w[2]))?;
    Some(format!("{} to {}", range[0], range[2].trim_end_matches([',', ';', '.', ')'])))
}

/// Makes nexus.env(5) from .env.example.
///
/// # Errors
/// As [`all`].
pub fn page() -> Result<String> {
    let mut page = String::new();
    let mut part = String::new();
    for setting in all()? {
        if setting.part != part {
            part.clone_from(&setting.part);
            page += &format!(".SS {}\n", escaped(&part));
        }
        let entry = format!(
            "\\fB{}\\fR={}\n",
            escaped(&setting.name),
            if setting.default.is_empty() { String::new() } else { escaped(&setting.default) }
        );
        // Settings that share a comment share an entry; its text follows the last of them.
        if setting.meaning.is_empty() {
            let at = page.rfind("\n.\\\" text\n").map_or(page.len(), |at| at + 1);
            page.insert_str(at, &format!(".TQ\n{entry}"));
        } else {
            page += &format!(".TP\n{entry}.\\\" text\n{}\n", escaped(setting.meaning.trim_end()));
        }
    }
    Ok(page.replace(".\\\" text\n", ""))
}
