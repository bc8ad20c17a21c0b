//! A nexus-api of its own, over the benchmark's database.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::stop::Stop;
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

use crate::api::client::Client;
use crate::fixture::AGENT;
use crate::process::end;
use crate::work::Work;

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, while it runs.
pub(super) struct Server {
    child: Child,
    said: NamedTempFile,
    pub(super) socket: PathBuf,
}

impl Server {
    /// Starts it, and waits until it is well.
    ///
    /// # Errors
    /// Unavailable (69).
    pub(super) fn start(work: &Work<'_>, runtime: &Runtime, stop: &Stop) -> Result<Self> {
        let doing = || "starting nexus-api";
        let socket = work.path("api.sock");
        let said = NamedTempFile::new().or_fail_io(doing)?;
        let child = work
            .ours("nexus-api")
            .arg("--listen")
            .arg(&socket)
            // As many as come: what is measured is the server, not its patience with one client.
            .arg("--rate=0")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said.reopen().or_fail_io(doing)?)
            .spawn()
            .or_fail(Exit::Unavailable, doing)?;
        let mut server = Self { child, said, socket };
        let began = Instant::now();
        loop {
            let health = runtime.block_on(async { Client::new(&server.socket, AGENT).get("/health").await });
            match health {
                Ok(_) => return Ok(server),
                Err(failure) if began.elapsed() > PATIENCE => return Err(failure.while_doing(doing())),
                Err(_) => {}
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                let said = fs::read_to_string(server.said.path()).unwrap_or_default();
                return Err(Failure::new(Exit::Unavailable, doing())
                    .because(format!("{status}: {}", said.lines().last().unwrap_or("it said nothing"))));
            }
            stop.check()?;
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its largest resident size so far.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn peak_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
        peak.unwrap_or_default() as f64 / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
