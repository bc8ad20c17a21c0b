//! Writes what the owner needs to restore the set with stock tools alone: RESTORE.txt, unencrypted, and restore.sh, encrypted
//! because it names tables and columns.

mod script;

use nexus_backup_set::manifest::Manifest;
use nexus_backup_set::name::SetName;

pub(crate) use script::script;

/// The text in a set that lacks Redis although it was wanted.
pub(crate) const REDIS_MISSING_TEXT: &str = include_str!("RESTORE-no-redis.txt");

/// Returns the text of RESTORE.txt, which does not reveal the set's contents.
pub(crate) fn text(name: &SetName, manifest: &Manifest) -> String {
    let major = manifest.postgres.server_version_num / 10_000;
    let mut text = format!(
        include_str!("RESTORE.txt"),
        name = name,
        taken = name.taken,
        version = manifest.nexus_version,
        major = major
    );
    if manifest.redis.is_some() {
        text.push_str(include_str!("RESTORE-redis.txt"));
    }
    if manifest.redis_missing.is_some() {
        text.push_str(REDIS_MISSING_TEXT);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_template_has_the_command_that_checks_the_files() {
        assert!(include_str!("RESTORE.txt").contains("sha256sum -c SHA256SUMS"));
    }
}
