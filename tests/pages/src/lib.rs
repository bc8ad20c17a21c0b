//! Manual pages, completions and settings: what the repository keeps must be what the helpers' command lines say. A test in
//! each helper hands over its command line; what is kept is compared, or, with `NEXUS_WRITE_PAGES=1`, written anew.

pub mod kept;
pub mod page;
pub mod settings;
pub mod shell;
pub mod units;

use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

/// What differs, in words, and what to do about it.
pub type Result<T = ()> = std::result::Result<T, String>;

/// The repository's root, seen from the package under test, in whose directory cargo runs its tests. Not where this was compiled:
/// clones may share a target directory.
pub fn root() -> PathBuf {
    PathBuf::from("../..")
}

/// Checks what the repository keeps of the helper whose command line is `C`: manual page, completions, settings, units.
///
/// # Errors
/// Says each thing that differs.
pub fn helper<C: CommandFactory>() -> Result {
    let mut command = C::command();
    settings::agree(&command)?;
    units::read_the_settings(&command)?;
    completions(&mut command)?;
    page::of_helper(command)
}

/// Checks what the repository keeps to complete `command` in three shells.
///
/// # Errors
/// Says each file that differs.
pub fn completions(command: &mut Command) -> Result {
    let name = command.get_name().to_owned();
    for (shell, file) in [
        (Shell::Bash, format!("bash/{name}")),
        (Shell::Zsh, format!("zsh/_{name}")),
        (Shell::Fish, format!("fish/{name}.fish")),
    ] {
        let mut script = Vec::new();
        generate(shell, command, &name, &mut script);
        kept::same(&format!("docs/completions/{file}"), &String::from_utf8_lossy(&script))?;
    }
    Ok(())
}
