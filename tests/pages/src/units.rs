//! Reads the shipped units, as far as the manual pages describe them.

use std::fs;

use clap::Command;

use crate::{Result, root};

/// A unit file: its name, and its lines in order.
pub struct Unit {
    /// File name, such as `nexus-backup.timer`.
    pub name: String,
    lines: Vec<(String, String)>,
}

impl Unit {
    /// Returns every value of a key, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Returns the last value of a key.
    pub fn value<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.all(key).last()
    }

    /// Returns the page that its first `Documentation=man:…` names, such as `nexus-backup(8)`.
    pub fn page(&self) -> Option<&str> {
        self.all("Documentation").flat_map(str::split_whitespace).find_map(|word| word.strip_prefix("man:"))
    }

    /// Returns the lines that say when it starts by itself.
    pub fn when(&self) -> Vec<String> {
        let keys =
            ["OnCalendar", "OnActiveSec", "OnBootSec", "OnUnitActiveSec", "ListenStream", "PathChanged"];
        keys.iter().flat_map(|key| self.all(key).map(move |value| format!("{key}={value}"))).collect()
    }
}

/// Returns every unit of `units/`, by name.
///
/// # Errors
/// If they cannot be read.
pub fn all() -> Result<Vec<Unit>> {
    let directory = root().join("units");
    let failed = |error| format!("reading {}: {error}", directory.display());
    let mut units = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            let text = fs::read_to_string(&path).map_err(failed)?;
            units.push(Unit { name: name.to_string_lossy().into_owned(), lines: lines(&text) });
        }
    }
    units.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(units)
}

fn lines(text: &str) -> Vec<(String, String)> {
    let settings = text.lines().filter(|line| !line.starts_with(['#', '[']));
    settings
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Checks that every unit that runs `command` reads nexus.env and sets no setting itself, so that the defaults in .env.example
/// hold for units too.
///
/// # Errors
/// Names the unit and the line.
pub fn read_the_settings(command: &Command) -> Result {
    let has_settings = command.get_arguments().any(|arg| arg.get_env().is_some());
    for unit in all()? {
        for line in unit.all("ExecStart").filter(|line| line.split(' ').next() == Some(command.get_name())) {
            let flags: Vec<&str> =
                line.split(' ').filter_map(|word| word.strip_prefix("--")).map(flag_of).collect();
            let setting = command.get_arguments().find(|arg| {
                arg.get_env().is_some() && arg.get_long().is_some_and(|long| flags.contains(&long))
            });
            if let Some(arg) = setting {
                return Err(format!(
                    "units/{}: {line} has --{}, which is a setting: leave it to nexus.env",
                    unit.name,
                    arg.get_id()
                ));
            }
            if has_settings && !unit.all("EnvironmentFile").any(|f| f == "/etc/nexus/nexus.env") {
                return Err(format!("units/{} has no EnvironmentFile=/etc/nexus/nexus.env", unit.name));
            }
        }
        if let Some(set) = unit.all("Environment").find(|value| value.contains("NEXUS_")) {
            return Err(format!("units/{}: Environment={set} belongs in .env.example", unit.name));
        }
    }
    Ok(())
}

fn flag_of(word: &str) -> &str {
    word.split('=').next().unwrap_or(word)
}
