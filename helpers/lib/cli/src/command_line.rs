//! Parses arguments and settings. The error of an invalid one is a single line with its name, its
//! value and what is expected. The exit code is 64 for an argument and 78 for a setting.

mod settings;

use std::num::{IntErrorKind, ParseIntError};
use std::process::{ExitCode, Termination};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

use crate::failure::{Exit, Failure, Result};
use crate::journal;

/// Runs the program `name`: logs its failure and returns its exit code.
pub fn main<T: Termination>(name: &str, run: impl FnOnce() -> Result<T>) -> ExitCode {
    let _journal = journal::init(name);
    match run() {
        Ok(done) => done.report(),
        Err(failure) => {
            log::error!(target: &*name.replace('-', "_"), "{name}: {failure}");
            failure.exit_code()
        }
    }
}

/// Parses the process's arguments and `NEXUS_*` settings. Settings come from the environment, else
/// from `/etc/nexus/nexus.env`, so that a helper run by hand behaves as in its unit.
///
/// `--help` and `--version` print and end the process with 0.
///
/// # Errors
/// Usage (64) for arguments, Settings (78) for settings.
pub fn parse<A: Parser>() -> Result<A> {
    let settings = settings::read();
    let command = settings::apply(A::command(), &settings);
    let typed: Vec<String> = std::env::args().skip(1).collect();
    command.clone().try_get_matches().and_then(|mut matches| A::from_arg_matches_mut(&mut matches)).map_err(
        |error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
            _ => explain(&command, &typed, &error),
        },
    )
}

/// Returns whether the command line contains `flag`, for example `--backup-dir`. A setting does not
/// count.
pub fn was_typed(flag: &str) -> bool {
    let is_it =
        |word: &str| word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    std::env::args_os().skip(1).any(|word| word.to_str().is_some_and(is_it))
}

/// Turns clap's error of several lines into one line.
fn explain(command: &Command, typed: &[String], error: &clap::Error) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let names = deepest(command, typed);
    if let (Some(arg), Some(value)) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue)) {
        let flag = arg.split([' ', '=']).next().unwrap_or(&arg);
        let was_typed = typed.iter().any(|t| t == flag || t.starts_with(&format!("{flag}=")));
        let known =
            names.get_arguments().find(|a| a.get_long().is_some_and(|long| flag == format!("--{long}")));
        let setting = known.and_then(clap::Arg::get_env);
        let help = known.and_then(clap::Arg::get_help).map(ToString::to_string).unwrap_or_default();
        let right = match (error.get(ContextKind::ValidValue), std::error::Error::source(error)) {
            (Some(ContextValue::Strings(valid)), _) if !valid.is_empty() => {
                format!("expected one of: {}", valid.join(", "))
            }
            (_, Some(cause)) => explain_value(cause, &help),
            _ if value.is_empty() => "the value is missing".to_owned(),
            _ => "not a valid value".to_owned(),
        };
        return match setting {
            Some(name) if !was_typed => {
                let name = name.to_string_lossy();
                Failure::new(Exit::Settings, format!("setting {name}={value}"))
                    .because(right)
                    .advise(format!("Set {name} in /etc/nexus/nexus.env to a valid value, or remove it"))
            }
            _ => Failure::new(Exit::Usage, format!("argument {flag} {value}")).because(right),
        };
    }
    let text = error.to_string();
    let what = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // clap's text is the whole help.
        "no command given"
    } else {
        text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ")
    };
    Failure::new(Exit::Usage, what).advise(format!("See: {} --help", command.get_name()))
}

/// Replaces an error of clap or of the standard library about a number by what the help expects:
/// `Tables to restore at once, 1 to 16` becomes `expected 1 to 16 (tables to restore at once)`. The
/// errors of our own parsers already say what they expect.
fn explain_value(cause: &(dyn std::error::Error + 'static), help: &str) -> String {
    let text = cause.to_string();
    let wrong = match cause.downcast_ref::<ParseIntError>().map(ParseIntError::kind) {
        Some(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => "out of range",
        Some(_) => "not a number",
        None if text.contains(" is not in ") && text.contains("..") => "out of range",
        None => return text,
    };
    // After a semicolon the help explains; after a bracket it gives the default.
    let mut help = help.split([';', '[']).next().unwrap_or_default().trim_end().to_owned();
    if let Some(first) = help.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    let is_range =
        |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) || text.starts_with("at least ");
    match help.rsplit_once(", ") {
        Some((what, range)) if is_range(range) => format!("{wrong}; expected {range} ({what})"),
        _ => format!("{wrong}; expected {help}"),
    }
}

/// Returns the subcommand that was typed, or the command itself.
fn deepest<'a>(command: &'a Command, typed: &[String]) -> &'a Command {
    typed.iter().find_map(|word| command.find_subcommand(word)).unwrap_or(command)
}
