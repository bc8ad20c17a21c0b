//! Whether the set will fit, before anything is written.

use std::path::Path;

use nexus_backup_set::directory::Last;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::progress::human_bytes;
use nix::sys::statvfs::statvfs;

/// Bytes that a set needs besides the rows: definitions, checksums, file system overhead.
const FLOOR: u64 = 4 << 20;

/// What a set will need, and what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes the set will take, as far as can be known.
    pub(crate) needed: u64,
    /// Bytes that may be written.
    pub(crate) free: u64,
}

/// Bytes that a set of `database_bytes` will take: by the last set's ratio and a tenth more, else half, which is what
/// the densest tables need (random vectors come to about two thirds, texts to a third).
pub(crate) fn needed(database_bytes: u64, last: Last) -> u64 {
    let by_ratio = u128::from(database_bytes) * u128::from(last.set_bytes) * 11;
    let rows = match by_ratio.checked_div(u128::from(last.database_bytes) * 10) {
        Some(bytes) => u64::try_from(bytes).unwrap_or(u64::MAX),
        None => database_bytes / 2,
    };
    rows.saturating_add(FLOOR)
}

/// Compares it with what is free in `directory`.
///
/// # Errors
/// I/O.
pub(crate) fn measure(directory: &Path, database_bytes: u64, last: Last) -> Result<Space> {
    let stat = statvfs(directory)
        .or_fail(Exit::Io, || format!("asking how much is free in {}", directory.display()))?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    Ok(Space { needed: needed(database_bytes, last), free })
}

impl Space {
    /// Whether it fits.
    pub(crate) fn suffices(self) -> bool {
        self.free >= self.needed
    }

    /// `Ok` when it fits.
    ///
    /// # Errors
    /// CannotCreate (73).
    pub(crate) fn require(self, directory: &Path) -> Result<()> {
        if self.suffices() {
            return Ok(());
        }
        Err(Failure::new(Exit::CannotCreate, format!("checking the space in {}", directory.display()))
            .because(format!(
                "the set needs about {}, free are {}",
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
    fn the_last_sets_ratio_is_used_with_a_tenth_more() {
        let last = Last { sequence: 1, database_bytes: 1000 << 20, set_bytes: 400 << 20 };
        assert_eq!(needed(2000 << 20, last), (880 << 20) + FLOOR);
        assert_eq!(needed(1000, Last::default()), 500 + FLOOR);
        assert_eq!(needed(u64::MAX, last), u64::try_from(u128::from(u64::MAX) * 44 / 100).unwrap() + FLOOR);
    }
}
