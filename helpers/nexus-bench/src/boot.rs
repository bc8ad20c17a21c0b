//! `nexus-bench boot`: from the start of nexus.target until the servers answer, the API is well, and all of it is watched.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nexus_cli::confirm::confirm;
use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;

use crate::api::client::Client;
use crate::args::Boot;
use crate::report::{Figure, Report};

/// The API's socket, and what nexus-health writes at each look.
const API: &str = "/run/nexus/api.sock";
const HEALTH: &str = "/run/nexus/health.json";

/// How long it may take until all is well.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// Measures, and says what came of it.
///
/// # Errors
/// Usage (64) when the answer was no; Unavailable (69) when it does not start; the stack is started then, as far as it goes.
pub(crate) fn run(args: &Boot, stop: &Stop) -> Result<()> {
    let mut report = Report::new("boot", &args.output)?;
    confirm("The living stack will be stopped and started again: programs lose it meanwhile.", args.yes)?;
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
        watched.push(until(began, "nexus-health has looked", || Ok(is_newer(Path::new(HEALTH), clock)))?);
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
    report.tell(&args.output)
}

/// Does that to nexus.target, and waits until it is done.
fn systemctl(what: &str) -> Result<()> {
    let doing = || format!("systemctl {what} nexus.target");
    // A service that is of it is told by the target, and is waited for by its own name.
    let status = Command::new("systemctl")
        .args([what, "nexus.target", "nexus-stack.service"])
        .status()
        .or_fail(Exit::Unavailable, doing)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(Exit::Unavailable, doing()).because(status.to_string()))
    }
}

/// Seconds since `began` until `condition` holds.
fn until(began: Instant, what: &str, condition: impl Fn() -> Result<bool>) -> Result<f64> {
    while !condition()? {
        if began.elapsed() > PATIENCE {
            return Err(Failure::new(Exit::Unavailable, format!("waiting until {what}"))
                .because(format!("it is not so after {} s", PATIENCE.as_secs()))
                .advise("See: systemctl status 'nexus-*'; journalctl -u 'nexus-*'"));
        }
        thread::sleep(GLANCE);
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Whether the API says that it reaches both servers.
fn is_well() -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_fail(Exit::Software, || "starting the runtime")?;
    let health = runtime.block_on(async { Client::new(Path::new(API), "bench").get("/health").await });
    Ok(health.is_ok_and(|health| health["database"] == "connected" && health["redis"] == "connected"))
}

fn is_newer(path: &Path, than: SystemTime) -> bool {
    path.metadata().and_then(|found| found.modified()).is_ok_and(|when| when > than)
}
