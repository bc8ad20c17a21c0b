//! The free space on the server's disks, before and during the restore, if they are visible from here. PostgreSQL stops when
//! its log runs out of space, and the live database with it, so a restore ends before that.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::human_bytes;
use nexus_docker_client::disk::reserve;
use nexus_postgres::blocking::Control;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::statvfs::statvfs;

use crate::apply::Restore;

/// Where Docker usually keeps the volume of the shipped stack. Only root can read it.
const VOLUME: &str = "/var/lib/docker/volumes/nexus_postgres_data/_data";

/// The directories of the server's data and log, and what must stay free there.
#[derive(Clone, Debug)]
pub(crate) struct ServerDisks {
    directories: Vec<PathBuf>,
    reserve: Option<u64>,
}

impl ServerDisks {
    /// Finds the server's files; `None` if they are not visible from here.
    fn find(restore: &Restore<'_>, control: &Control) -> Result<Option<Self>> {
        if !restore.making.server.is_local() {
            return Ok(None);
        }
        let row = control.row(
            "reading the server's data directory",
            "SELECT pg_catalog.current_setting('data_directory')",
            &[],
        )?;
        let directory = PathBuf::from(row.get::<_, String>(0));
        let inside = path_in_proc(Path::new(&restore.making.server.address()), &directory);
        let roots = inside.into_iter().chain([directory, PathBuf::from(VOLUME)]);
        let seen =
            roots.map(|root| [root.clone(), root.join("pg_wal")]).find(|[root, _]| free(root).is_some());
        let reserve = restore.args.reserve.map(|mib| mib.saturating_mul(1 << 20));
        Ok(seen.map(|directories| Self {
            directories: directories.into_iter().filter(|directory| free(directory).is_some()).collect(),
            reserve,
        }))
    }

    /// Returns the directory with the least space beyond its reserve, the free space there, and the reserve.
    fn tightest(&self) -> Option<(&Path, u64, u64)> {
        let measured = self.directories.iter().filter_map(|directory| {
            let (free, size) = free(directory)?;
            Some((directory.as_path(), free, self.reserve.unwrap_or_else(|| reserve(size))))
        });
        measured.min_by_key(|(_, free, reserve)| free.saturating_sub(*reserve))
    }

    /// Describes the shortage; `None` while the space is enough.
    pub(crate) fn shortage(&self) -> Option<String> {
        let (directory, free, reserve) = self.tightest()?;
        (free < reserve).then(|| {
            format!(
                "{} has {} free, but the live server needs {} for its log",
                server_path(directory).display(),
                human_bytes(free),
                human_bytes(reserve)
            )
        })
    }
}

/// Returns the path of the server's file `path` through its process's root in /proc, which works for any container and volume.
fn path_in_proc(socket: &Path, path: &Path) -> Option<PathBuf> {
    let peer = getsockopt(&UnixStream::connect(socket).ok()?, PeerCredentials).ok()?;
    let root = PathBuf::from(format!("/proc/{}/root", peer.pid()));
    Some(root.join(path.strip_prefix("/").ok()?))
}

/// Returns the path inside the server's container.
fn server_path(directory: &Path) -> PathBuf {
    let mut parts = directory.components();
    match directory.strip_prefix("/proc") {
        // "/", "proc", the process, "root"
        Ok(_) => Path::new("/").join(parts.by_ref().skip(4).collect::<PathBuf>()),
        Err(_) => directory.to_owned(),
    }
}

/// Returns the free space and the size of the disk, in bytes.
fn free(directory: &Path) -> Option<(u64, u64)> {
    let stat = statvfs(directory).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    Some((bytes(stat.blocks_available()), bytes(stat.blocks())))
}

/// Refuses a set that cannot fit, and warns of one that may not. Returns the disks to watch during the restore.
///
/// In the database, texts take about half the size of their COPY form. Rows with vectors take about three times that size, with
/// their index.
///
/// # Errors
/// CannotCreate (73) if the set cannot fit.
pub(crate) fn check(restore: &mut Restore<'_>, control: &Control) -> Result<Option<ServerDisks>> {
    let Some(disks) = ServerDisks::find(restore, control)? else {
        restore.making.note(
            "the server's disks are not visible from here, so their free space was not watched".to_owned(),
        );
        return Ok(None);
    };
    let rows = restore.making.manifest.bytes();
    let Some((directory, free, reserve)) = disks.tightest() else { return Ok(None) };
    if free < (rows / 2).saturating_add(reserve) {
        return Err(Failure::new(
            Exit::CannotCreate,
            format!("checking the space in {}", server_path(directory).display()),
        )
        .because(format!(
            "the rows alone take {}; {} are free, but the live server needs {} for its log",
            human_bytes(rows),
            human_bytes(free),
            human_bytes(reserve)
        ))
        .advise("Free some space there"));
    }
    if free < rows.saturating_mul(3).saturating_add(reserve) {
        log::warn!(
            "The restore may not fit: {} of rows, and as much again for indexes; {} has {} free. It ends before the live server runs out of space",
            human_bytes(rows),
            server_path(directory).display(),
            human_bytes(free)
        );
    }
    Ok(Some(disks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_files_are_found_through_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let seen = path_in_proc(&socket, directory.path()).unwrap();
        assert!(seen.starts_with(format!("/proc/{}/root", std::process::id())));
        assert_eq!(
            (server_path(&seen), server_path(directory.path())),
            (directory.path().into(), directory.path().into())
        );
        assert_eq!(free(&seen).map(|(_, size)| size), free(directory.path()).map(|(_, size)| size));
    }

    #[test]
    fn the_reserve_is_the_option_else_the_default() {
        let directory = std::env::temp_dir();
        let size = free(&directory).unwrap().1;
        let disks = |reserve| ServerDisks { directories: vec![directory.clone()], reserve };
        assert!(disks(Some(size + 1)).shortage().is_some());
        assert!(disks(Some(0)).shortage().is_none());
        assert_eq!(disks(None).tightest().unwrap().2, reserve(size));
    }
}
