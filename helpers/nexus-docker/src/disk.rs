//! Monitors the disk of a throwaway server, and kills that server before the live one runs out of space on the same disk. A backup
//! set may come from another person, so its own figures cannot replace a measurement.

use std::io::Write;
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use nexus_cli::failure::Exit;
use nexus_cli::progress::human_bytes;
use nexus_docker_client::disk::reserve;
use nexus_docker_client::protocol::Service;

use crate::command::scratch;
use crate::error::RunError;
use crate::peer::Peer;
use crate::process::Process;
use crate::run;

/// The time between two measurements. A program can write some hundred MiB in that time.
const INTERVAL: Duration = Duration::from_millis(200);

/// The limit for a measurement. The throwaway server may block it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The limit for dockerd to kill the server.
const KILL: Duration = Duration::from_secs(60);

/// Measures the disk until the server exits.
pub struct DiskMonitor {
    /// How many bytes the server may take, measured at the start.
    pub free: u64,
    /// Why the monitor killed the server.
    reason: Arc<OnceLock<String>>,
}

impl DiskMonitor {
    /// Starts monitoring the disk of the throwaway server of `service`, whose container runs.
    ///
    /// # Errors
    /// `NotRun` when measuring fails.
    pub fn start(peer: &Arc<Peer>, service: Service) -> Result<Self, RunError> {
        let mut probe = Probe::start(peer, service)?;
        let Ok(Some(space)) = probe.measure(peer) else {
            return Err(RunError::NotRun(
                "cannot measure the free space on the throwaway server's disk".to_owned(),
            ));
        };
        let monitor = Self { free: space.usable(), reason: Arc::default() };
        let (peer, reason) = (Arc::clone(peer), Arc::clone(&monitor.reason));
        thread::spawn(move || {
            if let Some(shortage) = probe.until_shortage(&peer) {
                let _first = reason.set(shortage);
            }
            // This fails if the server has exited by itself.
            run::ignoring_result(&scratch::kill(service), KILL);
        });
        Ok(monitor)
    }

    /// If the monitor killed the server, reports the reason to the peer and returns the error.
    pub fn disk_full(&self, peer: &Peer) -> Option<RunError> {
        let reason = self.reason.get()?;
        peer.report(&format!("error: {reason}"));
        Some(RunError::Failed(i32::from(Exit::CannotCreate as u8)))
    }
}

/// The command that measures.
struct Probe {
    _process: Process,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Probe {
    fn start(peer: &Arc<Peer>, service: Service) -> Result<Self, RunError> {
        let mut process = Process::start(&scratch::measure(service), peer)?;
        let (stdin, stdout) = (process.stdin()?, process.stdout()?);
        Ok(Self { _process: process, stdin, stdout })
    }

    /// Returns the space now; `None` if the server has exited.
    fn measure(&mut self, peer: &Peer) -> Result<Option<DiskSpace>, RunError> {
        if self.stdin.write_all(b"\n").is_err() {
            return Ok(None);
        }
        peer.line_of(&mut self.stdout, TIMEOUT).map(|line| DiskSpace::parse(&line))
    }

    /// Returns why the server must be killed; `None` if it has exited, or the peer hung up.
    fn until_shortage(mut self, peer: &Peer) -> Option<String> {
        loop {
            thread::sleep(INTERVAL);
            match self.measure(peer) {
                Ok(Some(space)) => {
                    if let Some(shortage) = space.shortage() {
                        return Some(shortage);
                    }
                }
                Ok(None) | Err(RunError::HungUp | RunError::Failed(_) | RunError::NotRun(_)) => return None,
                Err(RunError::TimedOut(limit)) => {
                    return Some(format!(
                        "the throwaway server was killed: its free disk space could not be measured within {} s",
                        limit.as_secs()
                    ));
                }
            }
        }
    }
}

/// The space of a disk, in bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DiskSpace {
    free: u64,
    size: u64,
    free_inodes: u64,
    inodes: u64,
}

impl DiskSpace {
    /// Parses a line of `stat -f -c '%a %b %S %d %c'`. A file system without a table of inodes reports 0 of them.
    fn parse(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let &[free, size, block, free_inodes, inodes] = numbers.as_slice() else { return None };
        let bytes = |blocks: u64| blocks.checked_mul(block);
        Some(Self { free: bytes(free)?, size: bytes(size)?, free_inodes, inodes })
    }

    /// Returns how many bytes the throwaway server may take.
    fn usable(self) -> u64 {
        self.free.saturating_sub(reserve(self.size))
    }

    /// Describes the shortage; `None` while the space is enough.
    fn shortage(self) -> Option<String> {
        let reserve = reserve(self.size);
        if self.free < reserve {
            return Some(format!(
                "the throwaway server was killed: its disk has {} free, but the live server needs {}",
                human_bytes(self.free),
                human_bytes(reserve)
            ));
        }
        (self.free_inodes < self.inodes / 20).then(|| {
            format!(
                "the throwaway server was killed: the free inodes of its disk are down to {} of {}",
                self.free_inodes, self.inodes
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_is_parsed_from_stat() {
        let space = DiskSpace { free: 80 << 12, size: 100 << 12, free_inodes: 7, inodes: 9 };
        assert_eq!(DiskSpace::parse("80 100 4096 7 9"), Some(space));
        for bad in
            ["", "80 100 4096 7", "80 100 4096 7 9 1", "-1 100 4096 7 9", "80 99999999999999999 4096 7 9"]
        {
            assert_eq!(DiskSpace::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_live_server_keeps_its_reserve() {
        let size = 20 << 30;
        let space = |free, free_inodes| DiskSpace { free, size, free_inodes, inodes: 100 };
        assert_eq!(space(3 << 30, 50).usable(), 2 << 30);
        assert_eq!(space(1 << 30, 5).shortage(), None);
        assert!(space((1 << 30) - 1, 5).shortage().unwrap().contains("but the live server needs"));
        assert!(space(1 << 30, 4).shortage().unwrap().contains("down to 4 of"));
        assert_eq!(DiskSpace { free_inodes: 0, inodes: 0, ..space(size, 0) }.shortage(), None);
    }
}
