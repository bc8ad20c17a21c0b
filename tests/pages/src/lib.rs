//! Compares the manual pages, completions and settings in the repository with the helpers' command lines. A test in each helper
//! passes its command line. With `NEXUS_WRITE_PAGES=1` it writes the files instead of comparing.

pub mod golden;
pub mod page;
pub mod settings;
pub mod shell;
pub mod units;

use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

/// An error says what differs, and what to do about it.
pub type Result<T = ()> = std::result::Result<T, String>;

/// Returns the repository's root, relative to the package under test, where cargo runs its tests. The path of compilation may differ,
/// because clones may share a target directory.
pub fn root() -> PathBuf {
    PathBuf::from("../..")
}

/// Checks the manual page, completions, settings and units of the helper whose command line is `C`.
///
/// # Errors
/// Names what differs.
pub fn helper<C: CommandFactory>() -> Result {
    let mut command = C::command();
    settings::agree(&command)?;
    units::read_the_settings(&command)?;
    completions(&mut command)?;
    page::of_helper(command)
}

/// Checks the completions of `command` for three shells.
///
/// # Errors
/// Names the file that differs.
pub fn completions(command: &mut Command) -> Result {
    let name = command.get_name().to_owned();
    for (shell, file) in [
        (Shell::Bash, format!("bash/{name}")),
        (Shell::Zsh, format!("zsh/_{name}")),
        (Shell::Fish, format!("fish/{name}.fish")),
    ] {
        let mut script = Vec::new();
        generate(shell, command, &name, &mut script);
        golden::check(&format!("docs/completions/{file}"), &String::from_utf8_lossy(&script))?;
    }
    Ok(())
}
