//! Reads `/etc/nexus/nexus.env` when a person runs a helper by hand. Units get it by
//! `EnvironmentFile=`.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use clap::Command;
use clap::builder::Resettable;

/// The settings file, unless `$NEXUS_SETTINGS` names another.
const DEFAULT_FILE: &str = "/etc/nexus/nexus.env";

/// Returns the settings of the file. A missing or unreadable file counts as empty: a unit has its
/// settings in the environment, and a person who may not read the file gets an error when the
/// helper reads a secret.
pub(super) fn read() -> BTreeMap<String, String> {
    let path = std::env::var_os("NEXUS_SETTINGS").unwrap_or_else(|| DEFAULT_FILE.into());
    // A comment may have another encoding.
    parse(&String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()))
}

/// Parses lines of `NAME=value`, quoted or not. Ignores empty lines and comments.
/// install.d/setup/settings-file.sh refuses a line that systemd or Docker Compose reads
/// differently.
fn parse(text: &str) -> BTreeMap<String, String> {
    let lines =
        text.split('\n').map(|line| line.trim_matches(BLANKS)).filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let pair = |(name, value): (&str, &str)| {
        (name.trim_end_matches(BLANKS).to_owned(), unquoted(value.trim_start_matches(BLANKS)).to_owned())
    };
    pairs.map(pair).collect()
}

/// The blanks of systemd, without those of Unicode.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// Lets every argument of `command` and its subcommands take its setting from the environment, else
/// from `settings`. An empty setting means the default.
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
            // A variable in the environment wins, even an empty one. clap needs a `'static` text,
            // hence the leak.
            Some(value) if given.is_none() => arg.default_value(&*value.clone().leak()),
            _ => arg,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_file_is_read_as_systemd_reads_it() {
        let settings = parse("# x\n\nNEXUS_A=/a b\n NEXUS_B = \"q\"\nNEXUS_C=\nrubbish\n");
        let expected = [("NEXUS_A", "/a b"), ("NEXUS_B", "q"), ("NEXUS_C", "")];
        assert!(settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(expected));
    }

    /// A line of the file with its escapes, a tab, and the value of T; a live test asks systemd and
    /// Docker Compose too.
    const LINES: &str = include_str!("../../../../../tests/live/install/settings.tsv");

    #[test]
    fn lines_are_read_as_systemd_and_compose_read_them() {
        let mut count = 0;
        for (line, value) in LINES.lines().filter_map(|line| line.split_once('\t')) {
            let escapes =
                [("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ("\\0040", " "), ("\\0351", "\u{fffd}")];
            let text = escapes.iter().fold(line.to_owned(), |text, (from, to)| text.replace(from, to));
            assert_eq!(parse(&text).get("T").map(String::as_str), Some(value), "{line}");
            count += 1;
        }
        assert!(count > 20);
    }

    proptest! {
        /// Quotes, blanks and line ends do not change a value.
        #[test]
        fn a_value_is_read_as_it_was_written(
            value in "[a-zA-Z0-9/:.,*=>-]([ a-zA-Z0-9/:.,*=>-]{0,20}[a-z0-9])?",
            quote in "[\"']?", end in "[ \t]{0,2}\r?",
        ) {
            let text = format!("# x{end}\nNEXUS_A=1{end}\nNEXUS_A={quote}{value}{quote}{end}\nNEXUS_B=2");
            let settings = parse(&text);
            prop_assert_eq!(settings.get("NEXUS_A"), Some(&value));
            prop_assert_eq!(settings.get("NEXUS_B").map(String::as_str), Some("2"));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}|[ =\"'#\r\n]{0,20}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn a_setting_of_the_file_is_the_default_also_in_a_subcommand() {
        let arg = || clap::Arg::new("dir").long("dir").env("NEXUS_NO_SUCH_SETTING").default_value("/d");
        let command = Command::new("x").subcommand(Command::new("list").arg(arg()));
        let settings = BTreeMap::from([("NEXUS_NO_SUCH_SETTING".to_owned(), "/mine".to_owned())]);
        let matches = apply(command, &settings).get_matches_from(["x", "list"]);
        let list = matches.subcommand_matches("list").unwrap();
        assert_eq!(list.get_one::<String>("dir").map(String::as_str), Some("/mine"));
    }
}
