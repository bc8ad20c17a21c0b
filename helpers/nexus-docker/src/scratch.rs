//! Throwaway servers, for a restore test: of the images that the stack runs, without a network, with a volume of their
//! own, and gone when nobody wants them any more.
//!
//! A throwaway server ends with its standard input, which dockerd closes however its docker CLI dies (see
//! [`tool`](crate::tool)); `--rm` then removes container and volume. So nothing is left when the asker dies, or this
//! helper, or both. What a dockerd leaves that was killed itself is swept by label before the next one starts.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nexus_docker_client::protocol::{SCRATCH_PASSWORD, Scratch};
use nix::fcntl::Flock;

use crate::asker::{Asker, Wake};
use crate::command::scratch::{self, Living, Wanted};
use crate::disk::Watch;
use crate::lock;
use crate::run::{self, Input, Trouble};
use crate::running::{Running, read_some};

/// For questions to dockerd, and for it to start or remove a container with its volume.
const SHORT: Duration = Duration::from_secs(60);

/// For a new cluster to be made on a slow disk, or for Redis to read all of its file.
const START: Duration = Duration::from_secs(1800);

/// The password and its line feed, in bytes.
const PASSWORD_LINE: u64 = SCRATCH_PASSWORD as u64 + 1;

/// How often it is looked at whether dockerd has removed what it removes.
const AGAIN: Duration = Duration::from_millis(100);

/// How long the next one waits for the last one, whose asker has gone or been killed and whose server is being removed.
const LAST_ONE: Duration = Duration::from_secs(15);

/// Runs a throwaway server until the input ends or the asker goes.
///
/// # Errors
/// When another one is in use, or it does not start or ends by itself; Failed (73) when it took too much of the disk.
pub fn hold(asker: &Arc<Asker>, wanted: Wanted, input: Input) -> Result<(), Trouble> {
    let _lock = only_one(asker)?;
    remove_all(asker)?;
    let said = run::output(asker, &scratch::living(wanted.service), SHORT)?;
    let living = Living::parse(&said).map_err(|refusal| Trouble::NotRun(refusal.0))?;
    let digests = run::output(asker, &scratch::digests(&living), SHORT)?;
    let mut server = Running::start(&scratch::server(wanted, &living), asker)?;
    let let_go = Arc::new(AtomicBool::new(false));
    let watch = begin(asker, wanted, &mut server, input, &let_go);
    if let Ok(watch) = &watch {
        let scratch = Scratch {
            image: living.image,
            image_id: living.image_id,
            repository_digests: serde_json::from_str(digests.trim()).unwrap_or_default(),
            free: watch.free,
        };
        let line = serde_json::to_string(&scratch).map_err(|e| Trouble::NotRun(e.to_string()))?;
        let _ = asker.frame(b'o', format!("{line}\n").as_bytes());
        // It ends with the input, and that with the asker.
        server.wait(None, None);
    }
    let wanted_to_end = let_go.load(Ordering::Acquire);
    // Kills the docker CLI of one that lives and does not answer; dockerd then ends its input.
    drop(server);
    remove_all(asker)?;
    match watch?.too_little(asker) {
        Some(trouble) => Err(trouble),
        None if wanted_to_end => Ok(()),
        None => Err(Trouble::NotRun("the throwaway server ended by itself".to_owned())),
    }
}

/// Removes what throwaway servers were left behind.
///
/// # Errors
/// When one is in use.
pub fn sweep(asker: &Arc<Asker>) -> Result<(), Trouble> {
    let _lock = only_one(asker)?;
    remove_all(asker)
}

/// How many containers and volumes of throwaway servers there are, whether left or in use.
///
/// # Errors
/// When docker cannot be asked.
pub fn count(asker: &Arc<Asker>) -> Result<usize, Trouble> {
    let containers = ids(&run::output(asker, &scratch::containers(), SHORT)?)?;
    let volumes = ids(&run::output(asker, &scratch::volumes(), SHORT)?)?;
    Ok(containers.len() + volumes.len())
}

/// Whoever holds the lock runs the only throwaway server; any other is a leftover. The lock goes with the process.
fn only_one(asker: &Asker) -> Result<Flock<File>, Trouble> {
    let refusal = "another restore test is using a throwaway server";
    lock::take(Path::new(lock::THROWAWAY), LAST_ONE, asker, refusal)
}

/// Removes containers and volumes by their label, until there are none.
fn remove_all(asker: &Arc<Asker>) -> Result<(), Trouble> {
    let deadline = Instant::now() + SHORT;
    loop {
        let containers = ids(&run::output(asker, &scratch::containers(), SHORT)?)?;
        let volumes = ids(&run::output(asker, &scratch::volumes(), SHORT)?)?;
        if containers.is_empty() && volumes.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Trouble::TooLate(SHORT));
        }
        // Either may be gone by now, or be on its way: what counts is the list.
        let removal = if containers.is_empty() {
            scratch::remove_volumes(&volumes)
        } else {
            scratch::remove_containers(&containers)
        };
        run::silent(&removal, SHORT);
        thread::sleep(AGAIN);
    }
}

/// Waits until the server answers. Its disk is watched before it gets any data.
fn begin(
    asker: &Arc<Asker>,
    wanted: Wanted,
    server: &mut Running,
    input: Input,
    let_go: &Arc<AtomicBool>,
) -> Result<Watch, Trouble> {
    let mut stdout = server.stdout()?;
    let line = asker.line_of(&mut stdout, START).map_err(|wake| match wake {
        Wake::TooLate => Trouble::TooLate(START),
        _ => Trouble::HungUp,
    })?;
    server.forward(stdout, b'e', asker);
    if line != "started" {
        server.wait(Some(asker), Some(Instant::now() + SHORT));
        server.succeeded()?;
        return Err(Trouble::NotRun("the throwaway server did not say that it starts".to_owned()));
    }
    let watch = Watch::begin(asker, wanted.service)?;
    feed(PASSWORD_LINE + wanted.bytes, input, server.stdin()?, asker, let_go);
    match run::output(asker, &scratch::ready(wanted.service), START) {
        Ok(_) => Ok(watch),
        // A server that was ended fails everywhere else.
        Err(trouble) => Err(watch.too_little(asker).unwrap_or(trouble)),
    }
}

/// Gives the server the first `bytes` of the input, in its own thread, and closes the server's input when the input
/// ends. `let_go` is set then.
fn feed(bytes: u64, mut input: Input, mut stdin: ChildStdin, asker: &Arc<Asker>, let_go: &Arc<AtomicBool>) {
    let (asker, let_go) = (Arc::clone(asker), Arc::clone(let_go));
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        let mut first = (&mut input).take(bytes);
        while let Some(got) = read_some(&mut first, &mut buffer) {
            if stdin.write_all(&buffer[..got]).is_err() {
                return;
            }
            asker.count_received(got);
        }
        while read_some(&mut input, &mut buffer).is_some() {}
        let_go.store(true, Ordering::Release);
        drop(stdin);
    });
}

/// Docker's ids, and its names of volumes that were given none, one a line. They go back onto a command line, so they
/// are checked.
fn ids(listed: &str) -> Result<Vec<String>, Trouble> {
    let is_id = |id: &str| id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if listed.lines().all(is_id) {
        Ok(listed.lines().map(str::to_owned).collect())
    } else {
        Err(Trouble::NotRun("docker listed something that is no id".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_docker_names_by_itself_is_removed() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(ids(&format!("{id}\n")).unwrap(), [id]);
        for bad in ["nexus_postgres_data", "--help", "\n"] {
            assert!(ids(bad).is_err(), "{bad:?}");
        }
    }
}
