//! Answers the request that comes over the connection on standard input, and exits.

use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use log::{Level, LevelFilter};
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::journal;
use nexus_docker::answer::answer;
use nexus_docker::error::RunError;
use nexus_docker::peer::Peer;
use nexus_docker::request;
use nexus_docker_client::frame::Frame;
use nexus_docker_client::protocol::Request;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

/// How long the request line may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers one request to Docker from a closed list; systemd starts it for each connection.
///
/// The connection is its standard input (nexus-docker.socket), so there is no use for it on a terminal. The requests are:
/// containers, daemon, dump, dump-roles, post-data-script, redis-restore, restart, restart-hung, restore, scratch-down,
/// scratch-redis, scratch-up. Nothing else from the client gets onto a docker command line.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

fn main() -> ExitCode {
    // It waits until journald has read the line: journald cannot find the LogLevelMax= of a unit that has gone.
    let _journal = journal::init("nexus-docker");
    // The unit drops lines of this level by default.
    log::set_max_level(LevelFilter::Debug);
    Arguments::parse();
    match serve() {
        Ok((line, level)) => {
            log::log!(level, "{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            log::error!("nexus-docker: {failure}");
            failure.exit_code()
        }
    }
}

/// Answers the connection. Returns the line for the journal and its level: who sent which request, how it ended, how many bytes were
/// moved, and how long it took. The line contains no data.
fn serve() -> Result<(String, Level)> {
    let begun = Instant::now();
    let doing = || "taking the connection on standard input";
    let stdin = io::stdin().as_fd().try_clone_to_owned().or_fail(Exit::Usage, doing)?;
    let credentials = getsockopt(&stdin, PeerCredentials).map_err(|error| {
        let failure = Failure::new(Exit::Usage, doing()).because(error);
        failure.advise("systemd runs this helper: systemctl start nexus-docker.socket")
    })?;
    let socket = UnixStream::from(stdin);
    let copy = socket.try_clone().or_fail(Exit::Software, doing)?;
    socket.set_read_timeout(Some(REQUEST_TIMEOUT)).or_fail(Exit::Software, doing)?;
    let mut input = BufReader::with_capacity(64 << 10, socket);
    let peer = Arc::new(Peer::new(copy));

    let not_run = |name: &str, reason| (name.to_owned(), false, Err(RunError::NotRun(reason)));
    let (name, is_routine, result) = match request::read(&mut input) {
        Ok(Ok(request)) => {
            input.get_ref().set_read_timeout(None).or_fail(Exit::Software, doing)?;
            let name = request.name().or_fail(Exit::Software, doing)?;
            (name, is_routine(&request), answer(&peer, &request, input))
        }
        Ok(Err(invalid)) => not_run("an invalid request", invalid.to_string()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            not_run("no request", format!("no request line came within {} s", REQUEST_TIMEOUT.as_secs()))
        }
        Err(error) => not_run("no request", format!("cannot read the request line: {error}")),
    };
    // In the journal these are "info" and "notice". A failure is no more than that, because the client reports it.
    let level = if is_routine && result.is_ok() { Level::Debug } else { Level::Info };
    let how = finish(&peer, result);
    let (sent, received) = peer.bytes();
    let (uid, pid, took) = (credentials.uid(), credentials.pid(), begun.elapsed().as_secs_f64());
    let line =
        format!("{name} for uid {uid} pid {pid}: {how}, {sent} bytes out, {received} bytes in, {took:.3} s");
    Ok((line, level))
}

/// Sends the last frame, and returns the result for the journal.
fn finish(peer: &Peer, result: std::result::Result<(), RunError>) -> String {
    let (status, how) = match result {
        Ok(()) => (0, "exit 0".to_owned()),
        Err(RunError::Failed(status)) => (status, format!("exit {status}")),
        Err(RunError::NotRun(reason)) => {
            peer.send(&Frame::Refused(reason));
            return "not run".to_owned();
        }
        Err(error @ RunError::HungUp) => return error.to_string(),
        Err(error @ RunError::TimedOut(_)) => {
            peer.report(&format!("error: {error}"));
            (i32::from(Exit::TryLater as u8), error.to_string())
        }
    };
    peer.send(&Frame::Exit(status));
    how
}

/// Returns whether a request is of no interest in the journal when it succeeds: nexus-health sends these all the time.
fn is_routine(request: &Request) -> bool {
    match request {
        Request::Containers {} | Request::Daemon {} => true,
        Request::Dump { .. }
        | Request::DumpRoles {}
        | Request::Restore { .. }
        | Request::PostDataScript { .. }
        | Request::RedisRestore {}
        | Request::Restart { .. }
        | Request::RestartHung { .. }
        | Request::ScratchUp { .. }
        | Request::ScratchRedis { .. }
        | Request::ScratchDown {} => false,
    }
}

#[cfg(test)]
mod tests {
    /// The manual page, the completions, .env.example and the units agree with the command line.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Arguments>()
    }
}
