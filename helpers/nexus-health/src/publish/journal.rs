//! The journal: one line for each change and each repair.

use nexus_cli::failure::Failure;
use nexus_cli::journal::message_id;

use crate::heal::plan::Action;
use crate::level::FindingLevel;
use crate::verdict::Change;

/// Logs a change of a level.
pub(crate) fn change(change: &Change) {
    let Change { id, level, sentence, advice, .. } = change;
    let name = level.to_string();
    let (id, name) = (id.as_str(), name.as_str());
    match level {
        FindingLevel::Ok => log::info!(
            MESSAGE_ID = message_id::HEALTH_WELL, NEXUS_JOB = "health", NEXUS_FINDING = id, NEXUS_LEVEL = name;
            "{id} is well again: {sentence}"
        ),
        FindingLevel::Unknown => log::warn!(
            MESSAGE_ID = message_id::HEALTH_UNKNOWN, NEXUS_JOB = "health", NEXUS_FINDING = id, NEXUS_LEVEL = name;
            "{id} is unknown: {sentence} {advice}"
        ),
        FindingLevel::Warning => log::warn!(
            MESSAGE_ID = message_id::HEALTH_WARNING, NEXUS_JOB = "health", NEXUS_FINDING = id, NEXUS_LEVEL = name;
            "{id} is a warning: {sentence} {advice}"
        ),
        FindingLevel::Critical => log::error!(
            MESSAGE_ID = message_id::HEALTH_CRITICAL, NEXUS_JOB = "health", NEXUS_FINDING = id, NEXUS_LEVEL = name;
            "{id} is critical: {sentence} {advice}"
        ),
    }
}

/// Logs the start of a repair, and why.
pub(crate) fn repairing(action: Action, why: &str) {
    log::warn!(MESSAGE_ID = message_id::HEALTH_MENDS, NEXUS_JOB = "health"; "{action}, because {why}");
}

/// Logs a repair that failed.
pub(crate) fn not_repaired(action: Action, failure: &Failure) {
    log::error!(MESSAGE_ID = message_id::HEALTH_NOT_MENDED, NEXUS_JOB = "health"; "{action} failed: {failure}");
}

/// Logs a file that could not be written.
pub(crate) fn not_published(failure: &Failure) {
    log::error!(MESSAGE_ID = message_id::HEALTH_NOT_TOLD, NEXUS_JOB = "health"; "{failure}. Everything else continues");
}
