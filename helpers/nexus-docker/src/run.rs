//! Runs a `docker` command line and moves its input and output.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ChildStdin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::pump::pump;

use crate::command::Argv;
use crate::error::RunError;
use crate::peer::{Peer, Wake};
use crate::process::Process;

/// The longest output that is read here, in bytes.
const LONGEST_OUTPUT: usize = 1 << 20;

/// The bytes that follow a request line.
pub type Input = io::BufReader<UnixStream>;

/// Runs a command that takes no input and returns its standard output. A hang-up does not end it.
///
/// # Errors
/// When it does not succeed within `limit`, or prints more than 1 MiB.
pub fn output(peer: &Arc<Peer>, argv: &Argv, limit: Duration) -> Result<String, RunError> {
    let mut process = Process::start(argv, peer)?;
    drop(process.stdin()?);
    collect(process, None, limit)
}

/// Runs a command whose result does not matter, because the caller checks its effect.
pub fn ignoring_result(argv: &Argv, limit: Duration) {
    let Ok((no_peer, _)) = UnixStream::pair() else { return };
    let _result = output(&Arc::new(Peer::new(no_peer)), argv, limit);
}

/// Runs a command that takes the peer's input and returns its standard output. A hang-up ends it.
///
/// # Errors
/// When it does not succeed within `limit`, prints more than 1 MiB, or the peer hangs up.
pub fn output_with_input(
    peer: &Arc<Peer>,
    argv: &Argv,
    input: Input,
    limit: Duration,
) -> Result<String, RunError> {
    let mut process = Process::start(argv, peer)?;
    feed_in_background(input, process.stdin()?, peer);
    collect(process, Some(peer), limit)
}

fn collect(mut process: Process, watched: Option<&Peer>, limit: Duration) -> Result<String, RunError> {
    let mut stdout = process.stdout()?.take(LONGEST_OUTPUT as u64 + 1);
    let reader = process.spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    match process.wait(watched, Some(Instant::now() + limit)) {
        Wake::Ready => process.succeeded()?,
        Wake::HungUp => return Err(RunError::HungUp),
        Wake::TimedOut => return Err(RunError::TimedOut(limit)),
    }
    match reader.join() {
        Ok(Ok(bytes)) if bytes.len() <= LONGEST_OUTPUT => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(RunError::NotRun("cannot read docker's output".to_owned())),
    }
}

/// Copies `input` to a command's standard input.
///
/// # Errors
/// When reading or writing fails. A command may exit before it has read all of its input.
pub fn feed(input: &mut impl Read, stdin: &mut ChildStdin, peer: &Peer) -> io::Result<()> {
    pump(input, 64 << 10, |bytes| {
        stdin.write_all(bytes)?;
        peer.count_received(bytes.len());
        Ok(())
    })
}

/// Copies the peer's input to a command in a thread that nothing waits for: the command's exit status tells whether it had enough.
pub fn feed_in_background(mut input: Input, mut stdin: ChildStdin, peer: &Arc<Peer>) {
    let peer = Arc::clone(peer);
    thread::spawn(move || feed(&mut input, &mut stdin, &peer));
}
