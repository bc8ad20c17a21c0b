//! Prints the vectors of texts, for tests/embed/independent.py. Reads a line of JSON for each text,
//! `["query" or "passage", text]`, and writes a line of JSON numbers.
//!
//! cargo run --release -p nexus-embed --example vectors -- FOLDER

use std::io::BufRead;
use std::path::Path;
use std::process::ExitCode;

use nexus_cli::failure::{Exit, OrFail, OrFailIo, Result};
use nexus_cli::output;
use nexus_embed::machine::Instructions;
use nexus_embed::model::Model;
use nexus_embed_client::protocol::TextKind;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: vectors FOLDER");
        return ExitCode::from(64);
    };
    match vectors(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("vectors: {failure}");
            failure.exit_code()
        }
    }
}

fn vectors(folder: &Path) -> Result<()> {
    let model = Model::load(folder, Instructions::best())?;
    for line in std::io::stdin().lock().lines() {
        let line = line.or_fail_io(|| "reading standard input")?;
        let (kind, text): (TextKind, String) =
            serde_json::from_str(&line).or_fail(Exit::Data, || "reading standard input")?;
        let vector = model.embed(&[(kind, &text)], &mut || {})?;
        let line = serde_json::to_string(&vector).or_fail(Exit::Software, || "writing JSON")?;
        output::print(&format!("{line}\n"))?;
    }
    Ok(())
}
