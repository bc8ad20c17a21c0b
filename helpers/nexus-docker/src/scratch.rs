//! Throwaway servers for restore tests: from the images that the stack runs, without a network, each with its own volume.
//!
//! A throwaway server exits at the end of its standard input, which dockerd closes however its docker CLI dies (see
//! [`tool`](crate::tool)); `--rm` then removes container and volume. So nothing is left when the peer dies, or this helper, or
//! both. Before the next server starts, a sweep by label removes what a killed dockerd has left.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nexus_docker_client::frame::Stream;
use nexus_docker_client::protocol::{SCRATCH_PASSWORD, Scratch};
use nix::fcntl::Flock;

use crate::command::scratch::{self, LiveContainer, Spec};
use crate::disk::DiskMonitor;
use crate::error::RunError;
use crate::id::is_id;
use crate::lock;
use crate::peer::Peer;
use crate::process::Process;
use crate::run::{self, Input};

/// The limit for queries, and for dockerd to start or remove a container with its volume.
const SHORT: Duration = Duration::from_secs(60);

/// The limit for PostgreSQL to create a cluster on a slow disk, or for Redis to load its file.
const START: Duration = Duration::from_secs(1800);

/// The length of the password and its line feed, in bytes.
const PASSWORD_LINE: u64 = SCRATCH_PASSWORD as u64 + 1;

/// The time between two checks whether dockerd has removed everything.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait for an earlier server whose peer has hung up or died, while it is removed.
const LOCK_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs a throwaway server until the input ends or the peer hangs up.
///
/// # Errors
/// When another server is in use, or this one does not start or exits by itself; `Failed` with 73 when it took too much disk
/// space.
pub fn serve(peer: &Arc<Peer>, spec: Spec, input: Input) -> Result<(), RunError> {
    let _lock = lock(peer)?;
    remove_all(peer)?;
    let live = LiveContainer::parse(&run::output(peer, &scratch::inspect_live(spec.service), SHORT)?)?;
    let digests = run::output(peer, &scratch::digests(&live), SHORT)?;
    let mut server = Process::start(&scratch::server(spec, &live), peer)?;
    let released = Arc::new(AtomicBool::new(false));
    let monitor = start(peer, spec, &mut server, input, &released);
    if let Ok(monitor) = &monitor {
        let scratch = Scratch {
            image: live.image,
            image_id: live.image_id,
            repository_digests: serde_json::from_str(digests.trim()).unwrap_or_default(),
            free: monitor.free,
        };
        peer.print(&serde_json::to_string(&scratch).map_err(|e| RunError::NotRun(e.to_string()))?);
        // The server exits when its input ends, and a hang-up of the peer ends the input.
        server.wait(None, None);
    }
    let was_released = released.load(Ordering::Acquire);
    // Kills the docker CLI of a server that runs without responding; dockerd then closes the server's input.
    drop(server);
    remove_all(peer)?;
    match monitor?.disk_full(peer) {
        Some(error) => Err(error),
        None if was_released => Ok(()),
        None => Err(RunError::NotRun("the throwaway server exited by itself".to_owned())),
    }
}

/// Removes leftover throwaway servers.
///
/// # Errors
/// When one is in use.
pub fn sweep(peer: &Arc<Peer>) -> Result<(), RunError> {
    let _lock = lock(peer)?;
    remove_all(peer)
}

/// Counts the containers and volumes of throwaway servers, leftover or in use.
///
/// # Errors
/// When docker fails.
pub fn count(peer: &Arc<Peer>) -> Result<usize, RunError> {
    let (containers, volumes) = list(peer)?;
    Ok(containers.len() + volumes.len())
}

/// Lists containers and volumes of throwaway servers.
fn list(peer: &Arc<Peer>) -> Result<(Vec<String>, Vec<String>), RunError> {
    let containers = ids(&run::output(peer, &scratch::containers(), SHORT)?)?;
    let volumes = ids(&run::output(peer, &scratch::volumes(), SHORT)?)?;
    Ok((containers, volumes))
}

/// Locks throwaway servers. The holder runs the only one; any other is a leftover.
fn lock(peer: &Peer) -> Result<Flock<File>, RunError> {
    let conflict = "another restore test is using a throwaway server";
    lock::take(Path::new(lock::SCRATCH), LOCK_TIMEOUT, peer, conflict)
}

/// Removes containers and volumes by their label, until there are none.
fn remove_all(peer: &Arc<Peer>) -> Result<(), RunError> {
    let deadline = Instant::now() + SHORT;
    loop {
        let (containers, volumes) = list(peer)?;
        if containers.is_empty() && volumes.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(RunError::TimedOut(SHORT));
        }
        // Removals may fail because dockerd is removing the same: the next list decides.
        let removal = if containers.is_empty() {
            scratch::remove_volumes(&volumes)
        } else {
            scratch::remove_containers(&containers)
        };
        run::ignoring_result(&removal, SHORT);
        thread::sleep(CHECK_INTERVAL);
    }
}

/// Waits until the server is ready. Its disk is monitored before it gets any data.
fn start(
    peer: &Arc<Peer>,
    spec: Spec,
    server: &mut Process,
    input: Input,
    released: &Arc<AtomicBool>,
) -> Result<DiskMonitor, RunError> {
    let mut stdout = server.stdout()?;
    let line = peer.line_of(&mut stdout, START)?;
    server.forward(stdout, Stream::Stderr, peer);
    if line != "started" {
        server.wait(Some(peer), Some(Instant::now() + SHORT));
        server.succeeded()?;
        return Err(RunError::NotRun("the throwaway server did not report its start".to_owned()));
    }
    let monitor = DiskMonitor::start(peer, spec.service)?;
    feed(PASSWORD_LINE.saturating_add(spec.bytes), input, server.stdin()?, peer, released);
    match run::output(peer, &scratch::ready(spec.service), START) {
        Ok(_) => Ok(monitor),
        // After the monitor has killed the server, everything else fails too.
        Err(error) => Err(monitor.disk_full(peer).unwrap_or(error)),
    }
}

/// Copies the first `bytes` of the input to the server, in another thread. Closes the server's input and sets `released` at the end
/// of the input.
fn feed(bytes: u64, mut input: Input, mut stdin: ChildStdin, peer: &Arc<Peer>, released: &Arc<AtomicBool>) {
    let (peer, released) = (Arc::clone(peer), Arc::clone(released));
    thread::spawn(move || {
        // Both fail when the connection breaks, which ends the input; the first fails too when the server has exited, which ends
        // the request.
        let _fed = run::feed(&mut input.by_ref().take(bytes), &mut stdin, &peer);
        let _rest = io::copy(&mut input, &mut io::sink());
        released.store(true, Ordering::Release);
        drop(stdin);
    });
}

/// Returns the ids in docker's output, one per line. They go back onto a command line, so they are checked.
fn ids(output: &str) -> Result<Vec<String>, RunError> {
    if !output.lines().all(is_id) {
        return Err(RunError::NotRun("docker printed something that is not an id".to_owned()));
    }
    Ok(output.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_removed() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(ids(&format!("{id}\n")).unwrap(), [id]);
        for bad in ["nexus_postgres_data", "--help", "\n"] {
            assert!(ids(bad).is_err(), "{bad:?}");
        }
    }
}
