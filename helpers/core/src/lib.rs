//! What the NEXUS helpers share: how they fail and report, the settings and credentials they read,
//! the backup set on disk, what is forgotten and the ledger of it, and the ways to the helpers that others ask:
//! the one that may talk to Docker, and the one that makes vectors.

pub mod cli;
pub mod confirm;
pub mod credentials;
pub mod disk;
pub mod docker;
pub mod embedding;
pub mod failure;
pub mod files;
pub mod forgetting;
pub mod journal;
pub mod ledger;
pub mod network;
pub mod output;
pub mod panics;
pub mod postgres;
pub mod problems;
pub mod progress;
pub mod redis;
pub mod restoring;
pub mod set;
pub mod stop;
#[cfg(feature = "systemd")]
pub mod systemd;
pub mod text;
