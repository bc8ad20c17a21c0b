//! Runs a PostgreSQL tool inside its container so that it never outlives its peer.
//!
//! A tool that takes input has a second command line as its watchdog; one that takes none is watched by the shell that runs it
//! (the scripts are in [`command::tools`](crate::command::tools)). The tool is killed after any of these dies: the peer (we see the hang-up and
//! close the watchdog's input), this helper, even by SIGKILL (both docker CLIs lose their input, and the unit kills them), the
//! tool's docker CLI (we see its exit and close the watchdog's input), the watchdog's docker CLI (dockerd closes the watchdog's
//! input).

use std::io::Write;
use std::process::ChildStdin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_docker_client::frame::Stream;
use nexus_docker_client::protocol::Server;

use crate::command::tools::{self, Tool};
use crate::error::RunError;
use crate::peer::{Peer, Wake};
use crate::process::Process;
use crate::run::{self, Input};

/// How long dockerd may take to start a process inside a running container.
const START: Duration = Duration::from_secs(60);

/// How long a tool may take to exit after its watchdog's input was closed, and a watchdog after its tool.
const GRACE: Duration = Duration::from_secs(15);

/// Runs a tool. Its standard output goes to the peer; `input` goes to a tool that takes input.
///
/// # Errors
/// When the tool does not exit with status 0, or the peer hangs up.
pub fn run(peer: &Arc<Peer>, tool: &Tool, input: Input) -> Result<(), RunError> {
    let mut process = Process::start(&tool.argv, peer)?;
    let mut stdout = process.stdout()?;
    let mut stdin = process.stdin()?;

    let line = peer.line_of(&mut stdout, START)?;
    let Ok(pid) = line.parse() else {
        // There is no such container, or it does not run: docker reports that, for some causes on standard output.
        drop(stdin);
        if !line.is_empty() {
            peer.report(&format!("docker printed: {line}"));
        }
        process.forward(stdout, Stream::Stderr, peer);
        process.wait(Some(peer), Some(Instant::now() + GRACE));
        process.succeeded()?;
        return Err(RunError::NotRun("the tool did not report its process id".to_owned()));
    };
    if !tool.takes_input {
        process.forward(stdout, Stream::Stdout, peer);
        let wake = process.wait(Some(peer), None);
        // If the tool still runs, the end of its own input kills it.
        drop(stdin);
        return if wake == Wake::HungUp { hung_up(process) } else { process.succeeded() };
    }
    let watchdog = Watchdog::start(tool.server, pid, peer)?;
    stdin.write_all(b"go\n").map_err(|e| RunError::NotRun(format!("cannot start the tool: {e}")))?;

    process.forward(stdout, Stream::Stdout, peer);
    run::feed_in_background(input, stdin, peer);
    if process.wait(Some(peer), None) == Wake::HungUp {
        watchdog.kill_tool();
        return hung_up(process);
    }
    let result = process.succeeded();
    match result {
        // The status came from inside the container: the tool itself has exited.
        Ok(()) => watchdog.dismiss(),
        // Possibly only the tool's docker CLI has exited, and then the tool must follow.
        Err(_) => watchdog.kill_tool(),
    }
    result
}

/// Gives a tool that is being killed time to exit.
fn hung_up(mut process: Process) -> Result<(), RunError> {
    process.wait(None, Some(Instant::now() + GRACE));
    Err(RunError::HungUp)
}

/// Kills the tool when its input is closed.
struct Watchdog {
    process: Process,
    stdin: ChildStdin,
}

impl Watchdog {
    /// Starts watching the process `pid` of the container.
    fn start(server: Server, pid: u32, peer: &Arc<Peer>) -> Result<Self, RunError> {
        let mut process = Process::start(&tools::watchdog(server, pid), peer)?;
        let mut stdout = process.stdout()?;
        let stdin = process.stdin()?;
        if peer.line_of(&mut stdout, START)? != "ready" {
            let reason = "the tool was not run, because its watchdog did not start";
            return Err(RunError::NotRun(reason.to_owned()));
        }
        // It prints nothing more, but the end of its output is that of the watchdog.
        process.forward(stdout, Stream::Stderr, peer);
        Ok(Self { process, stdin })
    }

    /// Kills the tool unless it has exited, and waits for that.
    fn kill_tool(self) {
        let Self { mut process, stdin } = self;
        drop(stdin);
        process.wait(None, Some(Instant::now() + GRACE));
    }

    /// Ends the watch after the tool has exited.
    fn dismiss(self) {
        let Self { mut process, mut stdin } = self;
        // This fails if the watchdog has exited too.
        let _ = stdin.write_all(b"done\n");
        process.wait(None, Some(Instant::now() + GRACE));
    }
}
