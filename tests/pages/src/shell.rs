//! Parses the `--help` of the shell commands into a clap command line, so that their completions are made like those of the
//! helpers.

use std::fs;

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::{Result, root};

/// Returns the output of `name --help`.
///
/// # Errors
/// If there is no such command, or it has no help.
pub fn help(name: &str) -> Result<String> {
    let path = format!("install.d/setup/{name}");
    let script = fs::read_to_string(root().join(&path)).map_err(|error| format!("{path}: {error}"))?;
    let help = script.split_once("<<'TEXT'\n").and_then(|(_, rest)| rest.split_once("\nTEXT"));
    Ok(help.ok_or_else(|| format!("{path} has no help between TEXT and TEXT"))?.0.to_owned())
}

/// Returns the command line that its help describes.
///
/// # Errors
/// As [`help`].
pub fn command(name: &str) -> Result<Command> {
    let help = help(name)?;
    let mut command = Command::new(name.to_owned()).disable_help_flag(true);
    for line in help.lines() {
        // The usage lines too, because they list the tasks.
        let line = line.trim_start();
        let line = line.strip_prefix(name).unwrap_or(line).trim_start();
        if let Some(option) = line.strip_prefix("--") {
            command = command.arg(argument(option));
        }
    }
    Ok(command)
}

/// Parses `NAME ARGUMENT what it does; more`, with or without the argument.
fn argument(line: &str) -> Arg {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim_start();
    let (value, text) = match rest.split_once(' ') {
        Some((first, text)) if first.chars().all(char::is_uppercase) => (Some(first), text),
        _ => (None, rest),
    };
    let help = text.split([':', ';', ',', '.']).next().unwrap_or_default().trim();
    let arg = Arg::new(name.to_owned()).long(name.to_owned()).help(help.to_owned());
    match value {
        None => arg.action(ArgAction::SetTrue),
        Some("FILE") => arg.value_hint(ValueHint::FilePath),
        Some("DIR") => arg.value_hint(ValueHint::DirPath),
        // The help text lists the choices.
        Some(_) => arg.value_parser(choices(line)),
    }
}

/// Returns the choices in `… : ONE, TWO, or THREE (…`.
fn choices(line: &str) -> Vec<String> {
    let list = line.split_once(": ").map_or("", |(_, list)| list);
    let list = list.split(['(', '.']).next().unwrap_or_default();
    let words: Vec<_> =
        list.split(',').map(|word| word.trim().trim_start_matches("or ").to_owned()).collect();
    // Anything else is a sentence.
    if words.iter().all(|word| !word.is_empty() && !word.contains(' ')) { words } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_files_and_choices_are_parsed() {
        let flag = argument("yes                 ask nothing; a first setup then needs");
        assert_eq!(
            (flag.get_long(), flag.get_help().unwrap().to_string()),
            (Some("yes"), "ask nothing".into())
        );
        assert_eq!(argument("owner FILE the key").get_value_hint(), ValueHint::FilePath);
        let words =
            argument("remote WAY     how they reach it: caddy, tailscale, or off (docs/REMOTE.md). If");
        let words: Vec<_> =
            words.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
        assert_eq!(words, ["caddy", "tailscale", "off"]);
        let sentence =
            argument("drop-database NAME  with --finish: remove a cluster although no other one has it");
        assert!(sentence.get_possible_values().is_empty());
    }
}
