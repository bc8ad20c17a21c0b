//! Whether the restored database fits on the server's disk, where that disk can be seen from here.

use std::path::PathBuf;

use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::postgres::blocking::Control;
use nexus_core::progress::human_bytes;
use nix::sys::statvfs::statvfs;

use crate::apply::Restore;

/// Where Docker keeps the volume of the shipped stack; only root can look.
const VOLUME: &str = "/var/lib/docker/volumes/nexus_postgres_data/_data";

/// Refuses what cannot fit; warns where it might not.
///
/// Texts shrink in the database to some half of their COPY form, rows with vectors grow to some three times with
/// their index.
///
/// # Errors
/// CannotCreate (73).
pub(crate) fn check(restore: &mut Restore<'_>, control: &Control) -> Result<()> {
    if !restore.making.server.is_local() {
        return Ok(());
    }
    let row = control.row(
        "looking where the server keeps its data",
        "SELECT pg_catalog.current_setting('data_directory')",
        &[],
    )?;
    let places = [PathBuf::from(row.get::<_, String>(0)), PathBuf::from(VOLUME)];
    let Some((place, free)) = places.into_iter().find_map(|place| {
        let stat = statvfs(&place).ok()?;
        Some((place, stat.blocks_available().saturating_mul(stat.fragment_size())))
    }) else {
        return Ok(());
    };
    let rows: u64 = restore.making.manifest.tables.iter().map(|table| table.bytes).sum();
    if free < rows / 2 {
        return Err(Failure::new(Exit::CannotCreate, format!("checking the space in {}", place.display()))
            .because(format!("the rows alone are {}, free are {}", human_bytes(rows), human_bytes(free)))
            .advise("Free some space there"));
    }
    if free < rows.saturating_mul(3) {
        log::warn!(
            "It may not fit: {} of rows, and as much again for indexes; free in {} are {}",
            human_bytes(rows),
            place.display(),
            human_bytes(free)
        );
    }
    Ok(())
}
