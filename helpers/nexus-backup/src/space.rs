//! Checks that the set will fit, before anything is written.

use std::path::Path;

use nexus_backup_set::directory::Last;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::progress::human_bytes;
use nix::sys::statvfs::statvfs;

/// The space that a set needs besides the rows, in bytes: definitions, checksums, file system overhead.
const FLOOR: u64 = 4 << 20;

/// The space that a set needs, and the free space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Estimated size of the set, in bytes.
    pub(crate) needed: u64,
    /// Free space, in bytes.
    pub(crate) free: u64,
}

/// Estimates the size of a set of `database_bytes`: by the ratio of the last set and a tenth more. Without a last set it is
/// half: random vectors compress to about two thirds, texts to a third.
pub(crate) fn needed(database_bytes: u64, last: Last) -> u64 {
    let by_ratio = u128::from(database_bytes) * u128::from(last.set_bytes) * 11;
    let rows = match by_ratio.checked_div(u128::from(last.database_bytes) * 10) {
        Some(bytes) => u64::try_from(bytes).unwrap_or(u64::MAX),
        None => database_bytes / 2,
    };
    rows.saturating_add(FLOOR)
}

/// Estimates the set's size and measures the free space in `directory`.
pub(crate) fn measure(directory: &Path, database_bytes: u64, last: Last) -> Result<Space> {
    let stat = statvfs(directory)
        .or_fail(Exit::Io, || format!("measuring the free space in {}", directory.display()))?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    Ok(Space { needed: needed(database_bytes, last), free })
}

impl Space {
    /// Returns whether the set fits.
    pub(crate) fn suffices(self) -> bool {
        self.free >= self.needed
    }

    /// Requires that the set fits.
    ///
    /// # Errors
    /// CannotCreate (73) if it does not.
    pub(crate) fn require(self, directory: &Path) -> Result<()> {
        if self.suffices() {
            return Ok(());
        }
        Err(Failure::new(Exit::CannotCreate, format!("checking the space in {}", directory.display()))
            .because(format!(
                "the set needs about {}, {} are free",
                human_bytes(self.needed),
                human_bytes(self.free)
            ))
            .advise("Free some space, or set NEXUS_BACKUP_DIR to a larger disk"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_last_sets_ratio_and_a_tenth_more() {
        let last = Last { sequence: 1, database_bytes: 1000 << 20, set_bytes: 400 << 20 };
        assert_eq!(needed(2000 << 20, last), (880 << 20) + FLOOR);
        assert_eq!(needed(1000, Last::default()), 500 + FLOOR);
        assert_eq!(needed(u64::MAX, last), u64::try_from(u128::from(u64::MAX) * 44 / 100).unwrap() + FLOOR);
    }
}
