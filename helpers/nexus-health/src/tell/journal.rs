//! The journal: one line a change, one a thing that is mended.

use nexus_cli::failure::Failure;
use nexus_cli::journal::message_id;

use crate::finding::Level;
use crate::heal::plan::Action;
use crate::verdict::Change;

/// Says that a level has changed.
pub(crate) fn change(change: &Change) {
    let Change { id, level, sentence, advice, .. } = change;
    let name = level.to_string();
    let (id, name) = (id.as_str(), name.as_str());
    match level {
        Level::Ok => log::info!(
            MESSAGE_ID = message_id::HEALTH_WELL, NEXUS_JOB = "health", NEXUS_FINDING = id, NEXUS_LEVEL = name;
            "{id} is well again: {sentence}"
        ),
        Level::Unknown => log::warn!(
            MESSAGE_ID = message_id::HEALTH_UNKNOWN, NEXUS_JOB = "health", NEXUS_FINDING = id, NEXUS_LEVEL = name;
            "{id} is unknown: {sentence} {advice}"
        ),
        Level::Warning => log::warn!(
            MESSAGE_ID = message_id::HEALTH_WARNING, NEXUS_JOB = "health", NEXUS_FINDING = id, NEXUS_LEVEL = name;
            "{id} is a warning: {sentence} {advice}"
        ),
        Level::Critical => log::error!(
            MESSAGE_ID = message_id::HEALTH_CRITICAL, NEXUS_JOB = "health", NEXUS_FINDING = id, NEXUS_LEVEL = name;
            "{id} is critical: {sentence} {advice}"
        ),
    }
}

/// Says what is being mended, and why.
pub(crate) fn mending(action: Action, why: &str) {
    log::warn!(MESSAGE_ID = message_id::HEALTH_MENDS, NEXUS_JOB = "health"; "{action}, because {why}");
}

/// Says that something could not be mended.
pub(crate) fn not_mended(action: Action, failure: &Failure) {
    log::error!(MESSAGE_ID = message_id::HEALTH_NOT_MENDED, NEXUS_JOB = "health"; "{action} failed: {failure}");
}

/// Says what could not be told.
pub(crate) fn not_told(failure: &Failure) {
    log::error!(MESSAGE_ID = message_id::HEALTH_NOT_TOLD, NEXUS_JOB = "health"; "{failure}. Everything else goes on");
}
