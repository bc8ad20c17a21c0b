//! One running `docker` command line.

use std::env;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::asker::{self, Asker, Wake};
use crate::run::Trouble;

/// The part of the environment that the docker CLI gets. The unit sets PATH. Under HOME the CLI looks for a configuration; the
/// unit provides none.
const KEPT_ENVIRONMENT: [&str; 2] = ["PATH", "HOME"];

/// A running `docker` command line. Dropping it kills and reaps the docker CLI, not what that has started
/// inside a container (see [`tool`](crate::tool)).
pub struct Running {
    child: Child,
    /// Ends when the last thread that holds `hold` has ended.
    done: UnixStream,
    hold: Option<UnixStream>,
}

impl Running {
    /// Starts `docker` with `argv`; its standard error goes to the asker from now on.
    ///
    /// # Errors
    /// `NotRun` when there is no such program, or no process can be made.
    pub fn start(argv: &[String], asker: &Arc<Asker>) -> Result<Self, Trouble> {
        let mut command = Command::new("docker");
        command.args(argv).env_clear();
        command.envs(KEPT_ENVIRONMENT.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.env("DOCKER_HOST", nexus_docker_client::HOST);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (done, hold) = UnixStream::pair().map_err(|e| not_run("a socket pair", &e))?;
        let child = command.spawn().map_err(|e| not_run("docker", &e))?;
        let mut running = Self { child, done, hold: Some(hold) };
        if let Some(stderr) = running.child.stderr.take() {
            running.forward(stderr, b'e', asker);
        }
        Ok(running)
    }

    /// Its standard output, once.
    ///
    /// # Errors
    /// Never, if it is asked for once.
    pub fn stdout(&mut self) -> Result<ChildStdout, Trouble> {
        self.child.stdout.take().ok_or_else(|| Trouble::NotRun("docker has no output".to_owned()))
    }

    /// Its standard input, once.
    ///
    /// # Errors
    /// Never, if it is asked for once.
    pub fn stdin(&mut self) -> Result<ChildStdin, Trouble> {
        self.child.stdin.take().ok_or_else(|| Trouble::NotRun("docker has no input".to_owned()))
    }

    /// Sends what comes from `from` to the asker in frames of `kind`, in a thread of its own. It goes on
    /// reading for an asker that is gone: what must not be broken off must not choke on its output.
    pub fn forward(&self, mut from: impl Read + Send + 'static, kind: u8, asker: &Arc<Asker>) {
        let asker = Arc::clone(asker);
        self.follow(move || {
            let mut bytes = vec![0; 64 << 10];
            while let Some(got) = read_some(&mut from, &mut bytes) {
                let _ = asker.frame(kind, &bytes[..got]);
            }
        });
    }

    /// Runs `work` in a thread that [`Running::wait`] waits for.
    pub(crate) fn follow<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let hold = self.hold.as_ref().and_then(|hold| hold.try_clone().ok());
        thread::spawn(move || {
            let result = work();
            drop(hold);
            result
        })
    }

    /// Waits until all its output has been moved, the asker hangs up (unless there is no `watched` one), or
    /// `deadline` comes.
    pub fn wait(&mut self, watched: Option<&Asker>, deadline: Option<Instant>) -> Wake {
        self.hold = None;
        match watched {
            Some(asker) => asker.wait(self.done.as_fd(), deadline),
            None => asker::wait(None, Some(self.done.as_fd()), deadline),
        }
    }

    /// Its exit status as a shell would give it, once it has ended.
    ///
    /// # Errors
    /// `Failed` when it is not 0.
    pub fn succeeded(&mut self) -> Result<(), Trouble> {
        let status = self.child.wait().map_err(|e| not_run("docker", &e))?;
        match status.code().or_else(|| status.signal().map(|signal| 128 + signal)) {
            Some(0) => Ok(()),
            other => Err(Trouble::Failed(other.unwrap_or(70))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended and been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `None` at the end, and when reading fails.
pub(crate) fn read_some(from: &mut impl Read, bytes: &mut [u8]) -> Option<usize> {
    loop {
        match from.read(bytes) {
            Ok(0) => return None,
            Ok(got) => return Some(got),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

fn not_run(what: &str, error: &io::Error) -> Trouble {
    Trouble::NotRun(match error.kind() {
        io::ErrorKind::NotFound => {
            format!(
                "{what} is not on the PATH of nexus-docker@.service. Install it, or name its directory there"
            )
        }
        _ => format!("running {what}: {error}"),
    })
}
