//! Replaces Redis's data by an RDB file, with a rollback.
//!
//! With `appendonly yes` Redis 7 and later start from `appendonlydir` alone and ignore `dump.rdb` (redis.io,
//! "Redis persistence"), so the file becomes the base of a new append-only directory. It is written and checked while Redis still
//! runs; then Redis is stopped, and two renames swap it in.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::Flock;

use crate::command::redis as commands;
use crate::error::RunError;
use crate::id::is_image_id;
use crate::lock;
use crate::peer::Peer;
use crate::run::{self, Input};

/// The limit for queries and renames.
const SHORT: Duration = Duration::from_secs(60);
/// The limit for stopping Redis, which may have much to write first.
const STOP: Duration = Duration::from_secs(600);
/// The limit for receiving and checking the file.
const LOAD: Duration = Duration::from_secs(4 * 3600);
/// The limit for Redis to load the file.
const HEALTHY: Duration = Duration::from_secs(1800);

/// Restores Redis from the RDB file in `input`, and prints the name of the directory that keeps the old data. Before the swap a
/// hang-up ends the restore, without an effect on Redis. After it the restore completes despite a hang-up.
///
/// # Errors
/// When Redis cannot be stopped, the file is not a complete RDB file, or Redis does not become healthy with it; Redis then has
/// its old data.
pub fn restore(peer: &Arc<Peer>, input: Input) -> Result<(), RunError> {
    let _lock = lock(peer)?;
    let image = parse_image(&run::output(peer, &commands::image(), SHORT)?)?;
    run::output_with_input(peer, &commands::load(&image), input, LOAD)?;
    // A peer that dies while it sends ends the input too. The file was complete, but the peer did not confirm that.
    if peer.has_hung_up() {
        return Err(RunError::HungUp);
    }
    let stopped = run::output(peer, &commands::stop(), STOP);
    let swapped = stopped.and_then(|_| run::output(peer, &commands::swap(&image), SHORT));
    let started = start(peer);
    let rollback = parse_rollback(&swapped?)?;
    if let Err(error) = started {
        peer.report("rolling back to the old data");
        run::output(peer, &commands::stop(), STOP)?;
        run::output(peer, &commands::undo(&image, &rollback), SHORT)?;
        start(peer)?;
        return Err(error);
    }
    peer.print(&rollback);
    Ok(())
}

/// Starts Redis and waits until it is healthy.
fn start(peer: &Arc<Peer>) -> Result<(), RunError> {
    run::output(peer, &commands::start(), SHORT)?;
    let begun = Instant::now();
    while begun.elapsed() < HEALTHY {
        match run::output(peer, &commands::state(), SHORT)?.trim() {
            // Without a health check there is no more to wait for.
            "running healthy" | "running" => return Ok(()),
            "running starting" => thread::sleep(Duration::from_secs(1)),
            // It exited, perhaps repeatedly, or exceeded the compose file's start_period: it cannot load its data. (A crashing
            // Redis may also hang in its own crash report and stay "running".)
            state => {
                peer.report(&format!(
                    "error: Redis did not start: it is {state}. See: docker logs nexus-redis"
                ));
                return Err(RunError::Failed(1));
            }
        }
    }
    Err(RunError::TimedOut(HEALTHY))
}

/// Locks Redis's data. Two restores at once would swap each other's data.
///
/// # Errors
/// `Failed` with 75 while another request restores or restarts Redis.
pub fn lock(peer: &Peer) -> Result<Flock<File>, RunError> {
    lock::take(Path::new(lock::REDIS), Duration::ZERO, peer, "another restore of Redis is running")
}

/// Returns the image's id in the output of [`commands::image`]. It goes back onto a command line, so it is checked.
fn parse_image(output: &str) -> Result<String, RunError> {
    let id = output.trim();
    if !is_image_id(id) {
        return Err(RunError::NotRun("docker printed no image of nexus-redis".to_owned()));
    }
    Ok(id.to_owned())
}

/// Returns the directory in the output of [`commands::swap`]. It goes back onto a command line, so it is checked.
fn parse_rollback(output: &str) -> Result<String, RunError> {
    let name = output.trim();
    let time = name.strip_prefix("appendonlydir.before-restore-").unwrap_or_default();
    if time.len() != 16 || !time.bytes().all(|b| matches!(b, b'0'..=b'9' | b'T' | b'Z')) {
        return Err(RunError::NotRun(
            "the swap of Redis's data did not print where the old data are".to_owned(),
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_goes_onto_a_command_line_is_checked() {
        let id = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(parse_image(&format!("{id}\n")).unwrap(), id);
        for bad in ["", "redis:8", "sha256:", "sha256:../x", &id.to_uppercase(), &format!("{id}\n{id}")] {
            assert!(parse_image(bad).is_err(), "{bad:?}");
        }
        assert!(parse_rollback("appendonlydir.before-restore-20261122T030012Z\n").is_ok());
        for bad in [
            "",
            "appendonlydir",
            "appendonlydir.before-restore-",
            "appendonlydir.before-restore-../../../../x",
        ] {
            assert!(parse_rollback(bad).is_err(), "{bad:?}");
        }
    }
}
