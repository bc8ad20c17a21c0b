//! `/etc/nexus/nexus.env`: units get it by `EnvironmentFile=`; whoever runs a helper by hand gets it here.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use clap::Command;
use clap::builder::Resettable;

/// Where the settings are; `$NEXUS_SETTINGS` names another file.
const DEFAULT_FILE: &str = "/etc/nexus/nexus.env";

/// The settings of the file. A file that is missing or may not be read counts as empty: a unit has its settings in
/// the environment already, and a person who may not read it may not read a secret either, which is then said.
pub(super) fn read() -> BTreeMap<String, String> {
    let path = std::env::var_os("NEXUS_SETTINGS").unwrap_or_else(|| DEFAULT_FILE.into());
    parse(&std::fs::read_to_string(path).unwrap_or_default())
}

/// Lines of `NAME=value`, in quotes or not; empty lines and comments are passed over.
fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim_end().to_owned(), unquoted(value.trim_start()).to_owned())).collect()
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// Lets every argument of `command` and its subcommands take its setting from the environment, else from
/// `settings`. One left empty means "the default", as a person would expect.
pub(super) fn apply(command: Command, settings: &BTreeMap<String, String>) -> Command {
    command.mut_subcommands(|sub| apply(sub, settings)).mut_args(|arg| {
        let Some(name) = arg.get_env().map(OsStr::to_owned) else { return arg };
        let given = std::env::var_os(&name);
        let arg = if given.as_ref().is_some_and(|value| value.is_empty()) {
            arg.env(Resettable::Reset)
        } else {
            arg
        };
        let of_file = name.to_str().and_then(|name| settings.get(name)).filter(|value| !value.is_empty());
        match of_file {
            // What is in the environment, even if empty, goes first. Leaked: an argument keeps its text for good.
            Some(value) if given.is_none() => arg.default_value(&*value.clone().leak()),
            _ => arg,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_systemd_reads_it() {
        let settings = parse("# x\n\nNEXUS_A=/a b\n NEXUS_B = \"q\"\nNEXUS_C=\nrubbish\n");
        let expected = [("NEXUS_A", "/a b"), ("NEXUS_B", "q"), ("NEXUS_C", "")];
        assert!(settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(expected));
    }

    #[test]
    fn a_setting_of_the_file_becomes_the_default_also_of_a_subcommand() {
        let arg = || clap::Arg::new("dir").long("dir").env("NEXUS_NO_SUCH_SETTING").default_value("/d");
        let command = Command::new("x").subcommand(Command::new("list").arg(arg()));
        let settings = BTreeMap::from([("NEXUS_NO_SUCH_SETTING".to_owned(), "/mine".to_owned())]);
        let matches = apply(command, &settings).get_matches_from(["x", "list"]);
        let list = matches.subcommand_matches("list").unwrap();
        assert_eq!(list.get_one::<String>("dir").map(String::as_str), Some("/mine"));
    }
}
