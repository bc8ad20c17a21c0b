//! Answers one request that comes over the connection on standard input, and ends.

use std::fmt::Write;
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
use nexus_docker::asker::Asker;
use nexus_docker::command::scratch::Wanted;
use nexus_docker::run::{Input, Trouble};
use nexus_docker::{command, containers, daemon, redis, request, run, scratch, tool};
use nexus_docker_client::protocol::{Frame, Request, Service};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

/// How long the asker may take over its request line.
const LINE: Duration = Duration::from_secs(30);

/// Ten minutes: the compose file's `stop_grace_period` and the start of a large database both fit.
const RESTART: Duration = Duration::from_secs(600);

/// Answers one request to Docker from a closed list; systemd starts it for each connection.
///
/// The connection is its standard input (nexus-docker.socket), so there is nothing to do with it by hand.
/// What may be asked: dump, dump-roles, restore, redis-restore, containers, daemon, restart, restart-hung, scratch-up,
/// scratch-redis, scratch-down. Nothing else of the asker's reaches a docker command line.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

fn main() -> ExitCode {
    // It waits until journald has the line: of a unit that has gone it does not find the LogLevelMax= either.
    let _journal = journal::init("nexus-docker");
    // The unit drops what is of this level, unless a person wants to see it.
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

/// Answers the connection and returns the line for the journal, and how much it matters: who asked what, how it ended, how much
/// was moved, how long it took. Never what was moved.
fn serve() -> Result<(String, Level)> {
    let begun = Instant::now();
    let doing = || "taking the connection on standard input";
    let stdin = io::stdin().as_fd().try_clone_to_owned().or_fail(Exit::Usage, doing)?;
    let peer = getsockopt(&stdin, PeerCredentials).map_err(|error| {
        let failure = Failure::new(Exit::Usage, doing()).because(error);
        failure.advise("systemd runs this helper: systemctl start nexus-docker.socket")
    })?;
    let socket = UnixStream::from(stdin);
    let copy = socket.try_clone().or_fail(Exit::Software, doing)?;
    socket.set_read_timeout(Some(LINE)).or_fail(Exit::Software, doing)?;
    let mut input = BufReader::with_capacity(64 << 10, socket);
    let asker = Arc::new(Asker::new(copy));

    let (kind, is_only_reading, outcome) = match request::read(&mut input) {
        Ok(Ok(request)) => {
            input.get_ref().set_read_timeout(None).or_fail(Exit::Software, doing)?;
            (kind(&request), only_reads(&request), answer(&asker, &request, input))
        }
        Ok(Err(refusal)) => ("a request that is refused", false, Err(Trouble::NotRun(refusal.0))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let why = format!("no request line came in {} s", LINE.as_secs());
            ("no request", false, Err(Trouble::NotRun(why)))
        }
        Err(error) => {
            ("no request", false, Err(Trouble::NotRun(format!("reading the request line: {error}"))))
        }
    };
    // In the journal these are "info" and "notice"; a failure is no more than that, since its asker explains it.
    let level = if outcome.is_ok() && is_only_reading { Level::Debug } else { Level::Info };
    let how = match outcome {
        Ok(()) => tell(&asker, &Frame::Exit(0), "exit 0"),
        Err(Trouble::Failed(status)) => tell(&asker, &Frame::Exit(status), &format!("exit {status}")),
        Err(Trouble::NotRun(why)) => tell(&asker, &Frame::Refused(why), "not run"),
        Err(Trouble::HungUp) => "broken off: the asker hung up".to_owned(),
        Err(Trouble::TooLate(limit)) => {
            asker.say(&format!("error: it was not done in {} s and was broken off", limit.as_secs()));
            tell(&asker, &Frame::Exit(i32::from(Exit::TryLater as u8)), "broken off: too slow")
        }
    };
    let (sent, received) = asker.bytes();
    let mut line = format!("{kind} for uid {} pid {}: {how}", peer.uid(), peer.pid());
    let took = begun.elapsed().as_secs_f64();
    // Writing to a String cannot fail.
    let _ = write!(line, ", {sent} bytes out, {received} bytes in, {took:.3} s");
    Ok((line, level))
}

fn answer(asker: &Arc<Asker>, request: &Request, input: Input) -> std::result::Result<(), Trouble> {
    if let Some(argv) = command::tool(request) {
        let argv = argv.map_err(|refusal| Trouble::NotRun(refusal.0))?;
        return tool::run(
            asker,
            command::tools_container(request),
            &argv,
            request.takes_input().then_some(input),
        );
    }
    match request {
        Request::Restart { service } => restart(asker, *service, &command::restart(*service)),
        Request::RestartHung { service } => restart(asker, *service, &command::restart_hung(*service)),
        Request::Daemon {} => daemon::describe(asker),
        Request::RedisRestore {} => redis::restore(asker, input),
        Request::ScratchUp { memory_mib } => {
            let wanted = Wanted { service: Service::Postgres, memory_mib: *memory_mib, bytes: 0 };
            scratch::hold(asker, wanted, input)
        }
        Request::ScratchRedis { bytes, memory_mib } => {
            let wanted = Wanted { service: Service::Redis, memory_mib: *memory_mib, bytes: *bytes };
            scratch::hold(asker, wanted, input)
        }
        Request::ScratchDown {} => scratch::sweep(asker),
        _ => containers::list(asker),
    }
}

/// Redis is left alone while its data are being exchanged: it is stopped then, and must not be started.
fn restart(asker: &Arc<Asker>, service: Service, argv: &[String]) -> std::result::Result<(), Trouble> {
    let _lock = match service {
        Service::Redis => Some(redis::only_one(asker)?),
        Service::Postgres => None,
    };
    run::output(asker, argv, RESTART).map(drop)
}

/// Whether a request that is done well is of no interest: somebody looked, as nexus-health does all the time.
fn only_reads(request: &Request) -> bool {
    matches!(request, Request::Containers {} | Request::Daemon {})
}

fn kind(request: &Request) -> &'static str {
    match request {
        Request::Dump { .. } => "dump",
        Request::DumpRoles {} => "dump-roles",
        Request::Restore { .. } => "restore",
        Request::PostDataScript {} => "post-data-script",
        Request::RedisRestore {} => "redis-restore",
        Request::Containers {} => "containers",
        Request::Restart { .. } => "restart",
        Request::RestartHung { .. } => "restart-hung",
        Request::Daemon {} => "daemon",
        Request::ScratchUp { .. } => "scratch-up",
        Request::ScratchRedis { .. } => "scratch-redis",
        Request::ScratchDown {} => "scratch-down",
    }
}

fn tell(asker: &Asker, frame: &Frame, how: &str) -> String {
    asker.end(frame);
    how.to_owned()
}

#[cfg(test)]
mod tests {
    /// Manual page, completions, .env.example and units say what the command line says.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Arguments>()
    }
}
