//! Running a `docker` command line and moving its input and output.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ChildStdin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::asker::{Asker, Wake};
use crate::running::{Running, read_some};

/// The most that a command may say whose output we read ourselves.
const LONGEST_OUTPUT: usize = 1 << 20;

/// Why a command did not end well.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It ended with this status; what it said has gone to the asker.
    Failed(i32),
    /// It could not be run as it must be; why, in a line.
    NotRun(String),
    /// The asker went away.
    HungUp,
    /// It took longer than this.
    TooLate(Duration),
}

/// The bytes that follow a request line.
pub type Input = io::BufReader<UnixStream>;

/// Runs a command that takes no input and returns its standard output. A hang-up does not break it off.
///
/// # Errors
/// When it does not end well within `limit`, or says more than 1 MiB.
pub fn output(asker: &Arc<Asker>, argv: &[String], limit: Duration) -> Result<String, Trouble> {
    let mut running = Running::start(argv, asker)?;
    drop(running.stdin()?);
    collected(running, None, limit)
}

/// Runs a command whose failure and output do not matter, because what it should bring about is looked at afterwards.
pub fn silent(argv: &[String], limit: Duration) {
    let Ok((nobody, _)) = UnixStream::pair() else { return };
    let _outcome = output(&Arc::new(Asker::new(nobody)), argv, limit);
}

/// Runs a command that takes the asker's input and returns its standard output. A hang-up ends it.
///
/// # Errors
/// When it does not end well within `limit`, says more than 1 MiB, or the asker goes.
pub fn output_fed(
    asker: &Arc<Asker>,
    argv: &[String],
    input: Input,
    limit: Duration,
) -> Result<String, Trouble> {
    let mut running = Running::start(argv, asker)?;
    feed(input, running.stdin()?, asker);
    collected(running, Some(asker), limit)
}

fn collected(mut running: Running, watched: Option<&Asker>, limit: Duration) -> Result<String, Trouble> {
    let mut stdout = running.stdout()?.take(LONGEST_OUTPUT as u64 + 1);
    let said = running.follow(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    match running.wait(watched, Some(Instant::now() + limit)) {
        Wake::Ready => running.succeeded()?,
        Wake::HungUp => return Err(Trouble::HungUp),
        Wake::TooLate => return Err(Trouble::TooLate(limit)),
    }
    match said.join() {
        Ok(Ok(bytes)) if bytes.len() <= LONGEST_OUTPUT => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(Trouble::NotRun("what docker said could not be read".to_owned())),
    }
}

/// Moves the asker's input to a command, in a thread that nobody waits for: a command may end well before
/// it has taken all of its input.
pub fn feed(mut input: Input, mut stdin: ChildStdin, asker: &Arc<Asker>) {
    let asker = Arc::clone(asker);
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Some(got) = read_some(&mut input, &mut bytes) {
            if stdin.write_all(&bytes[..got]).is_err() {
                break;
            }
            asker.count_received(got);
        }
    });
}
