//! Asks before a helper replaces or removes data.

use std::io::{IsTerminal, Write};

use crate::failure::{Exit, Failure, OrFailIo, Result};
use crate::text::printable_lines;

/// Asks `question` on the terminal. Only the answer `yes`, or `yes` given as an option, returns
/// `Ok`.
///
/// # Errors
/// Usage (64) when there is no terminal, or on any other answer.
pub fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, format!("{question} There is no terminal to ask on"))
            .advise("Give --yes if that is what you want"));
    }
    let doing = || "asking on the terminal";
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{}\nType yes to go on: ", printable_lines(question))
        .and_then(|()| terminal.flush())
        .or_fail_io(doing)?;
    drop(terminal);
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).or_fail_io(doing)?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, "the answer was not yes").advise("Nothing was changed"))
}
