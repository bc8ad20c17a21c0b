//! A running `docker` command line.

use std::env;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use nexus_cli::pump::pump;
use nexus_docker_client::frame::{Frame, Stream};

use crate::command::Argv;
use crate::error::RunError;
use crate::peer::{self, Peer, Wake};

/// The environment variables that the docker CLI gets. The unit sets PATH. Under HOME the CLI looks for a configuration; the unit
/// provides none.
const ENVIRONMENT: [&str; 2] = ["PATH", "HOME"];

/// A running `docker` command line. Dropping it kills and reaps the docker CLI, but not what that has started inside a container
/// (see [`tool`](crate::tool)).
pub struct Process {
    child: Child,
    /// Becomes readable once every clone of `open` is closed.
    done: UnixStream,
    open: Option<UnixStream>,
}

impl Process {
    /// Starts `docker` with `argv`; its standard error goes to the peer from now on.
    ///
    /// # Errors
    /// `NotRun` when there is no such program, or no process can be made.
    pub fn start(argv: &Argv, peer: &Arc<Peer>) -> Result<Self, RunError> {
        let mut command = Command::new("docker");
        command.args(&**argv).env_clear();
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.env("DOCKER_HOST", nexus_docker_client::HOST);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (done, open) = UnixStream::pair().map_err(|e| not_run(&e))?;
        let child = command.spawn().map_err(|e| not_run(&e))?;
        let mut process = Self { child, done, open: Some(open) };
        if let Some(stderr) = process.child.stderr.take() {
            process.forward(stderr, Stream::Stderr, peer);
        }
        Ok(process)
    }

    /// Takes its standard output.
    ///
    /// # Errors
    /// When it was taken before.
    pub fn stdout(&mut self) -> Result<ChildStdout, RunError> {
        self.child.stdout.take().ok_or_else(|| RunError::NotRun("docker has no output".to_owned()))
    }

    /// Takes its standard input.
    ///
    /// # Errors
    /// When it was taken before.
    pub fn stdin(&mut self) -> Result<ChildStdin, RunError> {
        self.child.stdin.take().ok_or_else(|| RunError::NotRun("docker has no input".to_owned()))
    }

    /// Sends what `from` prints to the peer as `stream`, in another thread. After a hang-up it still reads: a command that must
    /// not be interrupted must not block on its output.
    pub fn forward(&self, mut from: impl Read + Send + 'static, stream: Stream, peer: &Arc<Peer>) {
        let peer = Arc::clone(peer);
        self.spawn(move || {
            let read = pump(&mut from, 64 << 10, |bytes| {
                peer.send(&Frame::Output(stream, bytes));
                Ok(())
            });
            if let Err(error) = read {
                peer.report(&format!("error: cannot read docker's output: {error}"));
            }
        });
    }

    /// Runs `work` in a thread that [`Process::wait`] waits for.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let open = self.open.as_ref().and_then(|open| open.try_clone().ok());
        thread::spawn(move || {
            let result = work();
            drop(open);
            result
        })
    }

    /// Waits until all its output has been moved, the `watched` peer hangs up, or `deadline` comes.
    pub fn wait(&mut self, watched: Option<&Peer>, deadline: Option<Instant>) -> Wake {
        self.open = None;
        match watched {
            Some(peer) => peer.wait(self.done.as_fd(), deadline),
            None => peer::wait(None, Some(self.done.as_fd()), deadline),
        }
    }

    /// Waits for its exit.
    ///
    /// # Errors
    /// `Failed` with the status that a shell would report, unless that is 0.
    pub fn succeeded(&mut self) -> Result<(), RunError> {
        let status = self.child.wait().map_err(|e| not_run(&e))?;
        match status.code().or_else(|| status.signal().map(|signal| 128 + signal)) {
            Some(0) => Ok(()),
            other => Err(RunError::Failed(other.unwrap_or(70))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has exited and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn not_run(error: &io::Error) -> RunError {
    RunError::NotRun(match error.kind() {
        io::ErrorKind::NotFound => {
            "docker is not on the PATH of nexus-docker@.service. Install it, or add its directory there"
                .to_owned()
        }
        _ => format!("cannot run docker: {error}"),
    })
}
