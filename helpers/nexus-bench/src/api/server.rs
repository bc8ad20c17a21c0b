//! A separate nexus-api with the benchmark's database.

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

/// Time limit for its start.
const LIMIT: Duration = Duration::from_secs(30);

/// A running nexus-api. Dropping it ends the process.
pub(super) struct Server {
    child: Child,
    stderr: NamedTempFile,
    pub(super) socket: PathBuf,
}

impl Server {
    /// Starts it, and waits until it answers.
    pub(super) fn start(work: &Work<'_>, runtime: &Runtime, stop: &Stop) -> Result<Self> {
        let doing = || "starting nexus-api";
        let socket = work.path("api.sock");
        let stderr = NamedTempFile::new().or_fail_io(doing)?;
        let child = work
            .ours("nexus-api")
            .arg("--listen")
            .arg(&socket)
            // No limit, because all requests come from one client.
            .arg("--rate=0")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr.reopen().or_fail_io(doing)?)
            .spawn()
            .or_fail(Exit::Unavailable, doing)?;
        let mut server = Self { child, stderr, socket };
        let began = Instant::now();
        loop {
            let health = runtime.block_on(async { Client::new(&server.socket, AGENT).get("/health").await });
            match health {
                Ok(_) => return Ok(server),
                Err(failure) if began.elapsed() > LIMIT => return Err(failure.while_doing(doing())),
                Err(_) => {}
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                let stderr = fs::read_to_string(server.stderr.path()).unwrap_or_default();
                return Err(Failure::new(Exit::Unavailable, doing())
                    .because(format!("{status}: {}", stderr.lines().last().unwrap_or("no error message"))));
            }
            stop.check()?;
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns its largest resident size so far.
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
