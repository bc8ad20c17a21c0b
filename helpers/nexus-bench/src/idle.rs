//! `nexus-bench idle`: memory and processor time of the services without requests.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;

use crate::args::Idle;
use crate::competitors::is_installed;
use crate::report::{Figure, Report};

/// The control groups of systemd.
const GROUPS: &str = "/sys/fs/cgroup";

/// How often memory is read, and the competitors' metrics are fetched, as Prometheus would.
const EVERY: Duration = Duration::from_secs(15);

/// Time limit for the start of a competitor.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The competitors: name, command, port and path of their metrics, Debian package.
const PEERS: [(&str, &[&str], u16, &str, &str); 2] = [
    ("netdata", &["netdata", "-D"], 19999, "/api/v1/allmetrics", "netdata-core"),
    (
        "prometheus-node-exporter",
        &["prometheus-node-exporter", "--web.listen-address=127.0.0.1:9100"],
        9100,
        "/metrics",
        "prometheus-node-exporter",
    ),
];

/// The samples of one service.
#[derive(Default)]
struct Samples {
    /// The resident size of all its processes, in MiB, for each sample.
    memory_mib: Vec<f64>,
    /// Microseconds of processor time, at the first and the last sample.
    began_usec: Option<u64>,
    ended_usec: u64,
}

/// The competitors that were started. Dropping it stops them.
struct Started(Vec<(&'static str, u16, &'static str)>);

/// Measures and reports.
///
/// # Errors
/// Unavailable (69) if no service of NEXUS runs here; TryLater (75) after a signal.
pub(crate) fn run(args: &Idle, stop: &Stop) -> Result<()> {
    Report::of("idle", &args.output, |report, progress| {
        report.set("time", humantime::format_duration(args.time));
        measure(args, stop, progress, report)
    })
}

fn measure(args: &Idle, stop: &Stop, progress: &Progress, report: &mut Report) -> Result<()> {
    let mut started = Started(Vec::new());
    for (name, command, port, path, package) in PEERS.iter().filter(|_| args.peers) {
        if is_installed(command[0]) {
            started.start(name, command, *port, path)?;
        } else {
            report.note(format!("{name}: not measured, it is not installed (Debian: {package})"));
        }
    }
    let mut samples: BTreeMap<String, Samples> = BTreeMap::new();
    let began = Instant::now();
    loop {
        for (name, group) in services() {
            samples.entry(name).or_default().take(&group)?;
        }
        if samples.is_empty() {
            return Err(Failure::new(Exit::Unavailable, "looking for services of NEXUS")
                .because("none runs")
                .advise("Start it with: systemctl start nexus.target"));
        }
        let Some(left) = args.time.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else { break };
        started.0.iter().for_each(|(_, port, path)| drop(fetch(*port, path)));
        progress.doing(format!(
            "watching, another {}",
            humantime::format_duration(Duration::from_secs(left.as_secs()))
        ));
        wait(left.min(EVERY), stop)?;
    }
    summarize(&samples, &started, began.elapsed(), report);
    Ok(())
}

fn summarize(samples: &BTreeMap<String, Samples>, started: &Started, time: Duration, report: &mut Report) {
    let is_peer = |name: &str| started.0.iter().any(|(peer, ..)| *peer == name);
    let figures = |memory: Vec<f64>, processor: f64| {
        vec![Figure::lower("memory MiB", memory), Figure::lower("% of a processor", vec![processor])]
    };
    let (ours, theirs): (Vec<_>, Vec<_>) = samples.iter().partition(|(name, _)| !is_peer(name));
    for (name, samples) in ours.iter().chain(&theirs) {
        report.measured(name.as_str(), figures(samples.memory_mib.clone(), samples.processor(time)));
    }
    let memory = ours.iter().map(|(_, samples)| Figure::lower("", samples.memory_mib.clone()).value).sum();
    let processor = ours.iter().map(|(_, samples)| samples.processor(time)).sum();
    report.measured("all of NEXUS", figures(vec![memory], processor));
    report.note("The servers' containers (PostgreSQL, Redis) and Docker are not counted: NEXUS runs them, but they are not part of it.");
}

impl Samples {
    fn take(&mut self, group: &Path) -> Result<()> {
        let doing = || format!("reading {}", group.display());
        let stat = fs::read_to_string(group.join("cpu.stat")).or_fail_io(doing)?;
        let usec =
            stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok()).unwrap_or_default();
        self.began_usec.get_or_insert(usec);
        self.ended_usec = usec;
        self.memory_mib.push(resident_mib(group));
        Ok(())
    }

    /// Returns the percentage of one processor.
    #[allow(clippy::cast_precision_loss)]
    fn processor(&self, time: Duration) -> f64 {
        let used = self.ended_usec.saturating_sub(self.began_usec.unwrap_or_default());
        used as f64 / 1e4 / time.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl Started {
    /// Starts a competitor in its own unit, and waits until it answers.
    fn start(&mut self, name: &'static str, command: &[&str], port: u16, path: &'static str) -> Result<()> {
        let doing = || format!("starting {name}");
        let status = Command::new("systemd-run")
            .args(["--quiet", "--collect", &format!("--unit={}", unit(name))])
            .args(command)
            .status()
            .or_fail(Exit::Unavailable, doing)?;
        if !status.success() {
            return Err(Failure::new(Exit::Unavailable, doing()).because(status.to_string()));
        }
        self.0.push((name, port, path));
        let began = Instant::now();
        while fetch(port, path).is_err() {
            if began.elapsed() > START_LIMIT {
                return Err(Failure::new(Exit::Unavailable, doing()).because("it does not answer"));
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        for (name, ..) in &self.0 {
            // It may have exited already.
            let _status = Command::new("systemctl").args(["stop", &unit(name)]).status();
        }
    }
}

fn unit(peer: &str) -> String {
    format!("bench-{peer}.service")
}

/// Fetches all metrics of a competitor.
fn fetch(port: u16, path: &str) -> std::io::Result<()> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    if response.starts_with(b"HTTP/1.") { Ok(()) } else { Err(std::io::Error::other("not an HTTP response")) }
}

/// Returns the name and control group of each running service of NEXUS and each competitor that was
/// started.
fn services() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for slice in ["nexus.slice", "nexus-metrics.slice", "system.slice"] {
        let entries = fs::read_dir(Path::new(GROUPS).join(slice)).into_iter().flatten();
        for entry in entries.filter_map(std::result::Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let peer = PEERS.iter().map(|(peer, ..)| *peer).find(|peer| unit(peer) == name);
            let ours = name.strip_suffix(".service").filter(|name| name.starts_with("nexus-"));
            let name = peer.or(ours);
            // The group may outlive its unit.
            if let Some(name) = name.filter(|_| !processes(&entry.path()).is_empty()) {
                found.push((name.to_owned(), entry.path()));
            }
        }
    }
    found
}

fn processes(group: &Path) -> Vec<String> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[allow(clippy::cast_precision_loss)]
fn resident_mib(group: &Path) -> f64 {
    let kib = |pid: &String| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok())
    };
    processes(group).iter().filter_map(kib).sum::<u64>() as f64 / 1024.0
}

/// Waits for `time`, which is the purpose here.
fn wait(time: Duration, stop: &Stop) -> Result<()> {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        stop.check()?;
        thread::sleep(left.min(Duration::from_millis(200)));
    }
    Ok(())
}
