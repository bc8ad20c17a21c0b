//! `nexus-bench boot`: the time from the start of nexus.target until the servers answer, the API is
//! well, and nexus-health has checked.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nexus_cli::confirm::confirm;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::runtime;

use crate::api::client::Client;
use crate::args::Boot;
use crate::report::{Figure, Report};

/// The API's socket, and the file that nexus-health writes at each check.
const API: &str = "/run/nexus/api.sock";
const HEALTH: &str = "/run/nexus/health.json";

/// Time limit for each step.
const LIMIT: Duration = Duration::from_secs(300);

/// How often a condition is checked.
const INTERVAL: Duration = Duration::from_millis(50);

/// Measures and reports.
///
/// # Errors
/// Usage (64) if the owner declines; Unavailable (69) if the stack does not start.
pub(crate) fn run(args: &Boot, stop: &Stop) -> Result<()> {
    let mut report = Report::new("boot", &args.output)?;
    confirm(
        "This stops the live stack and starts it again. Programs cannot use the memory meanwhile.",
        args.yes,
    )?;
    report.set("rounds", args.rounds);
    let progress = Progress::new(!args.output.json);
    let (mut started, mut well, mut watched) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        stop.check()?;
        progress.doing(format!("round {round} of {}: stopping", args.rounds));
        systemctl("stop")?;
        progress.doing(format!("round {round} of {}: starting", args.rounds));
        let (began, clock) = (Instant::now(), SystemTime::now());
        systemctl("start")?;
        started.push(began.elapsed().as_secs_f64());
        well.push(until(began, "the API is well", is_well)?);
        watched.push(until(began, "nexus-health has checked", || Ok(is_newer(Path::new(HEALTH), clock)))?);
    }
    progress.finish();
    report.measured(
        "nexus.target",
        vec![
            Figure::lower("servers are up s", started),
            Figure::lower("API is well s", well),
            Figure::lower("all is watched s", watched),
        ],
    );
    report.print(&args.output)
}

/// Runs a systemctl command on nexus.target, and waits until it is done.
fn systemctl(verb: &str) -> Result<()> {
    let doing = || format!("systemctl {verb} nexus.target");
    // The target starts and stops its services. Naming nexus-stack.service makes systemctl wait for
    // it.
    let status = Command::new("systemctl")
        .args([verb, "nexus.target", "nexus-stack.service"])
        .status()
        .or_fail(Exit::Unavailable, doing)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(Exit::Unavailable, doing()).because(status.to_string()))
    }
}

/// Waits until `condition` holds, and returns the seconds since `began`.
fn until(began: Instant, what: &str, condition: impl Fn() -> Result<bool>) -> Result<f64> {
    while !condition()? {
        if began.elapsed() > LIMIT {
            return Err(Failure::new(Exit::Unavailable, format!("waiting until {what}"))
                .because(format!("timed out after {} s", LIMIT.as_secs()))
                .advise("See: systemctl status 'nexus-*'; journalctl -u 'nexus-*'"));
        }
        thread::sleep(INTERVAL);
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Returns whether the API reports that it reaches both servers.
fn is_well() -> Result<bool> {
    let health = runtime()?.block_on(async { Client::new(Path::new(API), "bench").get("/health").await });
    Ok(health.is_ok_and(|health| health["database"] == "connected" && health["redis"] == "connected"))
}

fn is_newer(path: &Path, than: SystemTime) -> bool {
    path.metadata().and_then(|found| found.modified()).is_ok_and(|when| when > than)
}
