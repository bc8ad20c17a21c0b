//! Whether the machine has the memory and the disk for a throwaway server, so that the living one never suffers.

use nexus_backup_set::manifest::Manifest;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_cli::progress::human_bytes;

/// Less than this is too little for PostgreSQL and an index build, in MiB.
const LEAST: u64 = 256;

/// More is of no use, in MiB.
const MOST: u64 = 4096;

/// What a new cluster and its log take beside the rows, in bytes.
const CLUSTER: u64 = 1 << 30;

/// How many times the bytes of its COPY streams a database takes: rows and their indexes, vectors counted twice.
const TIMES: u64 = 3;

/// MiB for the throwaway server: half of what is free, or what was asked for if that is free.
///
/// # Errors
/// TryLater (75) when too little is free.
pub(crate) fn memory(wanted: Option<u32>) -> Result<u32> {
    let text = std::fs::read_to_string("/proc/meminfo").or_fail_io(|| "reading /proc/meminfo")?;
    // A kernel that does not say (before 3.14) has none to spare.
    memory_of(wanted, available(&text).unwrap_or(0))
}

/// `MemAvailable` of /proc/meminfo, in MiB: what programs can have without anything being swapped (proc(5)).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib >> 10)
}

fn memory_of(wanted: Option<u32>, available: u64) -> Result<u32> {
    let refused = |needs: String| {
        Failure::new(Exit::TryLater, "looking for memory for the throwaway server")
            .because(format!("{available} MiB are free, {needs}"))
            .advise("Run it when less is going on, or change NEXUS_RESTORE_TEST_MEMORY")
    };
    match wanted {
        Some(wanted) if u64::from(wanted) <= available => Ok(wanted),
        Some(wanted) => Err(refused(format!("NEXUS_RESTORE_TEST_MEMORY is {wanted}"))),
        None if available / 2 < LEAST => {
            Err(refused(format!("{LEAST} are the least, and as much again is left to others")))
        }
        None => Ok(u32::try_from((available / 2).min(MOST)).unwrap_or(u32::MAX)),
    }
}

/// Refuses a set that would fill the disk which the living server is on too.
///
/// # Errors
/// CannotCreate (73).
pub(crate) fn require_disk(manifest: &Manifest, to_take: u64) -> Result<()> {
    let needed = manifest.bytes().saturating_mul(TIMES).saturating_add(CLUSTER);
    if needed <= to_take {
        return Ok(());
    }
    Err(Failure::new(Exit::CannotCreate, "looking for room for the throwaway server")
        .because(format!(
            "the restored database may take {}; on Docker's disk it may take {} (free space, less what the living server needs)",
            human_bytes(needed),
            human_bytes(to_take)
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
    fn half_of_what_is_free_is_left_to_the_living() {
        assert_eq!(memory_of(None, 2000).unwrap(), 1000);
        assert_eq!(memory_of(None, 100_000).unwrap(), 4096);
        assert_eq!(memory_of(None, 511).unwrap_err().exit(), Exit::TryLater);
        assert_eq!(memory_of(Some(600), 700).unwrap(), 600);
        assert_eq!(memory_of(Some(128), 700).unwrap(), 128);
        assert_eq!(memory_of(Some(800), 700).unwrap_err().exit(), Exit::TryLater);
    }
}
