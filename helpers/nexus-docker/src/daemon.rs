//! Describes the Docker daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nexus_docker_client::protocol::Daemon;
use serde::Deserialize;

use crate::command::stack;
use crate::containers::{self, LIMIT};
use crate::error::RunError;
use crate::peer::Peer;
use crate::{run, scratch};

/// The output of [`stack::daemon`].
#[derive(Deserialize)]
struct Info {
    version: String,
    warnings: Option<Vec<String>>,
    root: PathBuf,
}

/// Prints one JSON object ([`Daemon`]).
///
/// # Errors
/// When docker fails.
pub fn describe(peer: &Arc<Peer>) -> Result<(), RunError> {
    let printed = run::output(peer, &stack::daemon(), LIMIT)?;
    let info: Info = serde_json::from_str(&printed)
        .map_err(|e| RunError::NotRun(format!("docker info printed something unexpected: {e}")))?;
    let mut images = BTreeMap::new();
    for container in containers::of_stack(peer)? {
        // The name of a removed image refers to nothing.
        if let Ok(digest) = run::output(peer, &stack::image_id(&container.image), LIMIT) {
            images.insert(container.image, digest.trim().to_owned());
        }
    }
    let scratch = scratch::count(peer)?;
    let Info { version, warnings, root } = info;
    let daemon = Daemon { version, warnings: warnings.unwrap_or_default(), images, scratch, root };
    let line = serde_json::to_string(&daemon).map_err(|e| RunError::NotRun(e.to_string()))?;
    peer.print(&line);
    Ok(())
}
