//! Describing Docker itself, in one JSON object.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nexus_docker_client::protocol::Daemon;
use serde::Deserialize;

use crate::asker::Asker;
use crate::containers::{self, LIMIT};
use crate::run::{self, Trouble};
use crate::{command, scratch};

/// What docker says of itself.
#[derive(Deserialize)]
struct Info {
    version: String,
    warnings: Option<Vec<String>>,
    root: PathBuf,
}

/// Sends the object to the asker.
///
/// # Errors
/// When docker cannot be asked.
pub fn describe(asker: &Arc<Asker>) -> Result<(), Trouble> {
    let said = run::output(asker, &command::daemon(), LIMIT)?;
    let info: Info = serde_json::from_str(&said)
        .map_err(|e| Trouble::NotRun(format!("docker info said something else: {e}")))?;
    let ids = containers::of_stack(&run::output(asker, &command::listed(), LIMIT)?)?;
    let names =
        if ids.is_empty() { String::new() } else { run::output(asker, &command::images(&ids), LIMIT)? };
    let mut images = BTreeMap::new();
    for name in names.lines() {
        // One that was removed from under its name stands for nothing.
        if let Ok(digest) = run::output(asker, &command::image(name), LIMIT) {
            images.insert(name.to_owned(), digest.trim().to_owned());
        }
    }
    let scratch = scratch::count(asker)?;
    let Info { version, warnings, root } = info;
    let daemon = Daemon { version, warnings: warnings.unwrap_or_default(), images, scratch, root };
    let line = serde_json::to_string(&daemon).map_err(|e| Trouble::NotRun(e.to_string()))?;
    let _ = asker.frame(b'o', format!("{line}\n").as_bytes());
    Ok(())
}
