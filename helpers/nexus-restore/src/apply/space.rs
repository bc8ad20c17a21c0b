//! The free space on the server's disks, if they are visible from here: before the restore and during it. PostgreSQL stops
//! when its log finds no space, and the living database with it, so a restore ends before that.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::human_bytes;
use nexus_docker_client::disk::reserve;
use nexus_postgres::blocking::Control;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::statvfs::statvfs;

use crate::apply::Restore;

/// Where Docker usually keeps the volume of the shipped stack; only root can look.
const VOLUME: &str = "/var/lib/docker/volumes/nexus_postgres_data/_data";

/// Places of the server's data and log, and what must stay free there.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    places: Vec<PathBuf>,
    reserve: Option<u64>,
}

impl Room {
    /// Finds the server's files; `None` if they are not visible from here.
    ///
    /// # Errors
    /// The server's.
    fn find(restore: &Restore<'_>, control: &Control) -> Result<Option<Self>> {
        if !restore.making.server.is_local() {
            return Ok(None);
        }
        let row = control.row(
            "looking where the server keeps its data",
            "SELECT pg_catalog.current_setting('data_directory')",
            &[],
        )?;
        let directory = PathBuf::from(row.get::<_, String>(0));
        let inside = as_the_server_sees(Path::new(&restore.making.server.address()), &directory);
        let roots = inside.into_iter().chain([directory, PathBuf::from(VOLUME)]);
        let seen =
            roots.map(|root| [root.clone(), root.join("pg_wal")]).find(|[root, _]| free(root).is_some());
        let reserve = restore.args.reserve.map(|mib| mib.saturating_mul(1 << 20));
        Ok(seen.map(|places| Self {
            places: places.into_iter().filter(|place| free(place).is_some()).collect(),
            reserve,
        }))
    }

    /// The place with the least space beyond its reserve, its free space, and the reserve.
    fn least(&self) -> Option<(&Path, u64, u64)> {
        let measured = self.places.iter().filter_map(|place| {
            let (free, size) = free(place)?;
            Some((place.as_path(), free, self.reserve.unwrap_or_else(|| reserve(size))))
        });
        measured.min_by_key(|(_, free, reserve)| free.saturating_sub(*reserve))
    }

    /// Why it is too little; `None` while it is enough.
    pub(crate) fn too_little(&self) -> Option<String> {
        let (place, free, reserve) = self.least()?;
        (free < reserve).then(|| {
            format!(
                "{} has {} free, but the living server needs {} for its log",
                name(place).display(),
                human_bytes(free),
                human_bytes(reserve)
            )
        })
    }
}

/// The path of the server's file `path` through its process, in any container and volume.
fn as_the_server_sees(socket: &Path, path: &Path) -> Option<PathBuf> {
    let peer = getsockopt(&UnixStream::connect(socket).ok()?, PeerCredentials).ok()?;
    let root = PathBuf::from(format!("/proc/{}/root", peer.pid()));
    Some(root.join(path.strip_prefix("/").ok()?))
}

/// The path as the server knows it.
fn name(place: &Path) -> PathBuf {
    let mut parts = place.components();
    match place.strip_prefix("/proc") {
        // "/", "proc", the process, "root"
        Ok(_) => Path::new("/").join(parts.by_ref().skip(4).collect::<PathBuf>()),
        Err(_) => place.to_owned(),
    }
}

/// Bytes that are free, and the size of the disk.
fn free(place: &Path) -> Option<(u64, u64)> {
    let stat = statvfs(place).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    Some((bytes(stat.blocks_available()), bytes(stat.blocks())))
}

/// Refuses what cannot fit; warns where it might not. Returns what to watch during the load.
///
/// Texts shrink in the database to some half of their COPY form, rows with vectors grow to some three times with
/// their index.
///
/// # Errors
/// CannotCreate (73).
pub(crate) fn check(restore: &mut Restore<'_>, control: &Control) -> Result<Option<Room>> {
    let Some(room) = Room::find(restore, control)? else {
        restore
            .making
            .note("the server's disk is not visible from here, so its free space was not watched".to_owned());
        return Ok(None);
    };
    let rows = restore.making.manifest.bytes();
    let Some((place, free, reserve)) = room.least() else { return Ok(None) };
    if free < (rows / 2).saturating_add(reserve) {
        return Err(Failure::new(
            Exit::CannotCreate,
            format!("checking the space in {}", name(place).display()),
        )
        .because(format!(
            "the rows alone take {}; {} are free, but the living server needs {} for its log",
            human_bytes(rows),
            human_bytes(free),
            human_bytes(reserve)
        ))
        .advise("Free some space there"));
    }
    if free < rows.saturating_mul(3).saturating_add(reserve) {
        log::warn!(
            "The restore may not fit: {} of rows, and as much again for indexes; {} has {} free. It ends before the living server lacks space",
            human_bytes(rows),
            name(place).display(),
            human_bytes(free)
        );
    }
    Ok(Some(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_server_is_found_by_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let seen = as_the_server_sees(&socket, directory.path()).unwrap();
        assert!(seen.starts_with(format!("/proc/{}/root", std::process::id())));
        assert_eq!((name(&seen), name(directory.path())), (directory.path().into(), directory.path().into()));
        assert_eq!(free(&seen).map(|(_, size)| size), free(directory.path()).map(|(_, size)| size));
    }

    #[test]
    fn what_must_stay_free_is_what_a_person_says() {
        let place = std::env::temp_dir();
        let size = free(&place).unwrap().1;
        let room = |reserve| Room { places: vec![place.clone()], reserve };
        assert!(room(Some(size + 1)).too_little().is_some());
        assert!(room(Some(0)).too_little().is_none());
        assert_eq!(room(None).least().unwrap().2, reserve(size));
    }
}
