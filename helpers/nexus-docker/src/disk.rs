//! Watches the disk of a throwaway server, and ends that server before the living one finds no space on the same disk. The
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

use crate::asker::{Asker, Wake};
use crate::command::scratch;
use crate::run::{self, Trouble};
use crate::running::Running;

/// How often it is measured. A program can write some hundred MiB in that time.
const GLANCE: Duration = Duration::from_millis(200);

/// How long a measurement may take. The throwaway server may block it.
const PATIENCE: Duration = Duration::from_secs(10);

/// For dockerd to kill the server.
const KILL: Duration = Duration::from_secs(60);

/// Measures until the server ends.
pub struct Watch {
    /// Bytes that the server may take, as measured at the beginning.
    pub free: u64,
    /// Why the server was ended.
    why: Arc<OnceLock<String>>,
}

impl Watch {
    /// Starts measuring the disk of the throwaway server of `service`, whose container runs.
    ///
    /// # Errors
    /// `NotRun` when it cannot be measured.
    pub fn begin(asker: &Arc<Asker>, service: Service) -> Result<Self, Trouble> {
        let mut disk = Disk::of(asker, service)?;
        let Ok(Some(room)) = disk.measure(asker) else {
            return Err(Trouble::NotRun("the free space on its disk could not be measured".to_owned()));
        };
        let watch = Self { free: room.to_take(), why: Arc::default() };
        let (asker, why) = (Arc::clone(asker), Arc::clone(&watch.why));
        thread::spawn(move || {
            if let Some(too_little) = disk.until_too_little(&asker) {
                let _first = why.set(too_little);
            }
            // One that has ended by itself is not there to be killed.
            run::silent(&scratch::kill(service), KILL);
        });
        Ok(watch)
    }

    /// Returns why the server was ended, and tells the asker; `None` if it was not ended here.
    pub fn too_little(&self, asker: &Asker) -> Option<Trouble> {
        let why = self.why.get()?;
        asker.say(&format!("error: {why}"));
        Some(Trouble::Failed(i32::from(Exit::CannotCreate as u8)))
    }
}

/// The command line that measures.
struct Disk {
    _docker: Running,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Disk {
    fn of(asker: &Arc<Asker>, service: Service) -> Result<Self, Trouble> {
        let mut docker = Running::start(&scratch::measure(service), asker)?;
        let (stdin, stdout) = (docker.stdin()?, docker.stdout()?);
        Ok(Self { _docker: docker, stdin, stdout })
    }

    /// Returns the free space now; `None` if the server has ended.
    ///
    /// # Errors
    /// When the wait ended otherwise.
    fn measure(&mut self, asker: &Asker) -> Result<Option<Room>, Wake> {
        if self.stdin.write_all(b"\n").is_err() {
            return Ok(None);
        }
        asker.line_of(&mut self.stdout, PATIENCE).map(|line| Room::parse(&line))
    }

    /// Returns why the server must end; `None` if it has ended, or the asker is gone.
    fn until_too_little(mut self, asker: &Asker) -> Option<String> {
        loop {
            thread::sleep(GLANCE);
            match self.measure(asker) {
                Ok(Some(room)) => {
                    if let Some(why) = room.too_little() {
                        return Some(why);
                    }
                }
                Ok(None) | Err(Wake::HungUp | Wake::Ready) => return None,
                Err(Wake::TooLate) => {
                    let seconds = PATIENCE.as_secs();
                    return Some(format!(
                        "the throwaway server was ended: its free disk space could not be measured within {seconds} s"
                    ));
                }
            }
        }
    }
}

/// How full a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    free: u64,
    size: u64,
    free_inodes: u64,
    inodes: u64,
}

impl Room {
    /// Reads a line of `stat -f -c '%a %b %S %d %c'`. A file system without a table of inodes says that it has none.
    fn parse(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let &[free, size, block, free_inodes, inodes] = numbers.as_slice() else { return None };
        let bytes = |blocks: u64| blocks.checked_mul(block);
        Some(Self { free: bytes(free)?, size: bytes(size)?, free_inodes, inodes })
    }

    fn to_take(self) -> u64 {
        self.free.saturating_sub(reserve(self.size))
    }

    /// Returns why it is too little; `None` while it is enough.
    fn too_little(self) -> Option<String> {
        let reserve = reserve(self.size);
        if self.free < reserve {
            return Some(format!(
                "the throwaway server was ended: its disk has {} free, but the living server needs {}",
                human_bytes(self.free),
                human_bytes(reserve)
            ));
        }
        (self.free_inodes < self.inodes / 20).then(|| {
            format!(
                "the throwaway server was ended: its disk can take only {} more files, of {}",
                self.free_inodes, self.inodes
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_what_stat_says() {
        let room = Room { free: 80 << 12, size: 100 << 12, free_inodes: 7, inodes: 9 };
        assert_eq!(Room::parse("80 100 4096 7 9"), Some(room));
        for bad in
            ["", "80 100 4096 7", "80 100 4096 7 9 1", "-1 100 4096 7 9", "80 99999999999999999 4096 7 9"]
        {
            assert_eq!(Room::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_living_server_keeps_its_room() {
        let size = 20 << 30;
        let room = |free, free_inodes| Room { free, size, free_inodes, inodes: 100 };
        assert_eq!(room(3 << 30, 50).to_take(), 2 << 30);
        assert_eq!(room(1 << 30, 5).too_little(), None);
        assert!(room((1 << 30) - 1, 5).too_little().unwrap().contains("but the living server needs"));
        assert!(room(1 << 30, 4).too_little().unwrap().contains("4 more files"));
        assert_eq!(Room { free_inodes: 0, inodes: 0, ..room(size, 0) }.too_little(), None);
    }
}
