//! Checks that the machine has memory and disk space for a throwaway server, so that the live one does not run short.

use nexus_backup_set::manifest::Manifest;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_cli::progress::human_bytes;

/// The least memory for PostgreSQL and an index build, in MiB.
const MIN_MEMORY: u64 = 256;

/// The most memory that is useful, in MiB.
const MAX_MEMORY: u64 = 4096;

/// The space for a new cluster and its log, without the rows, in bytes.
const CLUSTER: u64 = 1 << 30;

/// The size of a database as a multiple of its COPY streams: rows and indexes, with vectors in both.
const SIZE_FACTOR: u64 = 3;

/// Returns the memory for the throwaway server in MiB: `wanted`, else half of the free memory.
///
/// # Errors
/// TryLater (75) if too little is free.
pub(crate) fn memory(wanted: Option<u32>) -> Result<u32> {
    let text = std::fs::read_to_string("/proc/meminfo").or_fail_io(|| "reading /proc/meminfo")?;
    // Kernels before 3.14 do not report it: then assume that none is free.
    memory_of(wanted, available(&text).unwrap_or(0))
}

/// Returns `MemAvailable` of /proc/meminfo in MiB: the memory that programs can get without swapping (proc(5)).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib >> 10)
}

fn memory_of(wanted: Option<u32>, available: u64) -> Result<u32> {
    let refused = |needs: String| {
        Failure::new(Exit::TryLater, "checking the memory for the throwaway server")
            .because(format!("{available} MiB are free, {needs}"))
            .advise("Run it when the machine is less busy, or change NEXUS_RESTORE_TEST_MEMORY")
    };
    match wanted {
        Some(wanted) if u64::from(wanted) <= available => Ok(wanted),
        Some(wanted) => Err(refused(format!("NEXUS_RESTORE_TEST_MEMORY is {wanted}"))),
        None if available / 2 < MIN_MEMORY => {
            Err(refused(format!("at least {MIN_MEMORY} are needed, and as much again for other programs")))
        }
        None => Ok(u32::try_from((available / 2).min(MAX_MEMORY)).unwrap_or(u32::MAX)),
    }
}

/// Refuses a set that would fill the disk, which the live server shares.
///
/// # Errors
/// CannotCreate (73) if the set does not fit.
pub(crate) fn require_disk(manifest: &Manifest, available: u64) -> Result<()> {
    let needed = manifest.bytes().saturating_mul(SIZE_FACTOR).saturating_add(CLUSTER);
    if needed <= available {
        return Ok(());
    }
    Err(Failure::new(Exit::CannotCreate, "checking the space for the throwaway server")
        .because(format!(
            "the restored database may take {}, but Docker's disk has {} for it (the free space without the live server's reserve)",
            human_bytes(needed),
            human_bytes(available)
        ))
        .advise("Free some space there (docker system df), or test the set on another machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_what_the_kernel_calls_available() {
        let text = "MemTotal:        8000000 kB\nMemFree:          100000 kB\nMemAvailable:    4194304 kB\n";
        assert_eq!(available(text), Some(4096));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn half_of_the_free_memory_is_left_to_others() {
        assert_eq!(memory_of(None, 2000).unwrap(), 1000);
        assert_eq!(memory_of(None, 100_000).unwrap(), 4096);
        assert_eq!(memory_of(None, 511).unwrap_err().exit(), Exit::TryLater);
        assert_eq!(memory_of(Some(600), 700).unwrap(), 600);
        assert_eq!(memory_of(Some(128), 700).unwrap(), 128);
        assert_eq!(memory_of(Some(800), 700).unwrap_err().exit(), Exit::TryLater);
    }
}
