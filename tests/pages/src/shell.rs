//! The commands that are shell: what they say in `--help` is their command line, as clap knows it, so that their completions are
//! made as those of the helpers are.

use std::fs;

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::{Result, root};

/// What `name --help` prints.
///
/// # Errors
/// When there is no such command, or it has no help.
pub fn help(name: &str) -> Result<String> {
    let path = format!("install.d/setup/{name}");
    let script = fs::read_to_string(root().join(&path)).map_err(|error| format!("{path}: {error}"))?;
    let help = script.split_once("<<'TEXT'\n").and_then(|(_, rest)| rest.split_once("\nTEXT"));
    Ok(help.ok_or_else(|| format!("{path} has no help between TEXT and TEXT"))?.0.to_owned())
}

/// The command line that its help describes.
///
/// # Errors
/// As [`help`].
pub fn command(name: &str) -> Result<Command> {
    let help = help(name)?;
    let mut command = Command::new(name.to_owned()).disable_help_flag(true);
    for line in help.lines() {
        // Of the usage too: what is a task of its own stands there.
        let line = line.trim_start();
        let line = line.strip_prefix(name).unwrap_or(line).trim_start();
        if let Some(option) = line.strip_prefix("--") {
            command = command.arg(argument(option));
        }
    }
    Ok(command)
}

/// Of `NAME ARGUMENT what it does; more`, with or without the argument.
fn argument(line: &str) -> Arg {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim_start();
    let (value, says) = match rest.split_once(' ') {
        Some((first, says)) if first.chars().all(char::is_uppercase) => (Some(first), says),
        _ => (None, rest),
    };
    let says = says.split([':', ';', ',', '.']).next().unwrap_or_default().trim();
    let arg = Arg::new(name.to_owned()).long(name.to_owned()).help(says.to_owned());
    match value {
        None => arg.action(ArgAction::SetTrue),
        Some("FILE") => arg.value_hint(ValueHint::FilePath),
        Some("DIR") => arg.value_hint(ValueHint::DirPath),
        // The words it may be stand in what it says.
        Some(_) => arg.value_parser(words_in(line)),
    }
}

/// The choices in `… : ONE, TWO, or THREE (…`.
fn words_in(line: &str) -> Vec<String> {
    let list = line.split_once(": ").map_or("", |(_, list)| list);
    let list = list.split(['(', '.']).next().unwrap_or_default();
    let words = list.split(',').map(|word| word.trim().trim_start_matches("or ").to_owned());
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_an_option_with_a_file_and_one_of_some_words() {
        let flag = argument("yes                 ask nothing: the owner is then named");
        assert_eq!(
            (flag.get_long(), flag.get_help().unwrap().to_string()),
            (Some("yes"), "ask nothing".into())
        );
        assert_eq!(argument("owner FILE the key").get_value_hint(), ValueHint::FilePath);
        let words =
            argument("remote WAY     how they reach it: caddy, tailscale, or off (docs/REMOTE.md). Where");
        let words: Vec<_> =
            words.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
        assert_eq!(words, ["caddy", "tailscale", "off"]);
    }
}
