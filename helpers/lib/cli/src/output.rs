//! Writes results to standard output: text for people, one JSON object for programs.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::failure::{Exit, OrFail, OrFailIo, Result};
use crate::text::{printable_json, printable_lines};

/// Writes lines of text. A reader that has closed the pipe (`| head`) is not an error.
///
/// # Errors
/// I/O.
pub fn print(text: &str) -> Result<()> {
    write(&printable_lines(text))
}

fn write(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.or_fail_io(|| "writing to standard output"),
    }
}

/// Writes one JSON object and a newline.
///
/// # Errors
/// I/O.
pub fn json(object: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(object).or_fail(Exit::Software, || "writing JSON")?;
    write(&printable_json(&format!("{text}\n")))
}
