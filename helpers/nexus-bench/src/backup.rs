//! `nexus-bench backup`: compares nexus-backup with other programs and with the limit, on the same
//! database.

mod stages;

use nexus_cli::failure::Result;
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;

use crate::args::Compared;
use crate::fixture::Fixture;
use crate::process;
use crate::report::{Figure, Report};
use crate::work::{Work, size_mib};

/// The name of nexus-backup in the table.
const OURS: &str = "nexus-backup";

/// The results of one program, for each round.
#[derive(Default)]
struct Runs {
    seconds: Vec<f64>,
    mib: Vec<f64>,
    peak_mib: Vec<f64>,
}

/// Measures and reports.
///
/// # Errors
/// Unavailable (69) if the server or a NEXUS program fails; TryLater (75) after a signal.
pub(crate) fn run(args: &Compared, stop: &Stop) -> Result<()> {
    Report::of("backup", &args.output, |report, progress| {
        report.set("rounds", args.rounds.number);
        measure(args, stop, progress, report)
    })
}

fn measure(args: &Compared, stop: &Stop, progress: &Progress, report: &mut Report) -> Result<()> {
    progress.doing(format!("filling a database with {} episodes", args.data.episodes));
    let fixture = Fixture::filled(&args.server, &args.data, stop, report)?;
    let work = Work::new(&args.rounds, &fixture, stop)?;
    let peers = work.peers(&args.rounds, report)?;
    let mut limits = Vec::new();
    let mut ours = Runs::default();
    let mut theirs: Vec<Runs> = peers.iter().map(|_| Runs::default()).collect();
    for round in 1..=args.rounds.number {
        progress.doing(format!("round {round} of {}: the limit", args.rounds.number));
        limits.push(stages::copy(&fixture, stop, |_| Ok(()))?);
        progress.doing(format!("round {round} of {}: {OURS}", args.rounds.number));
        let out = work.fresh("ours")?;
        let ran = process::measured(&mut work.backup(&out), OURS, stop, |_| progress.advance(0))?;
        ours.add(ran.seconds, size_mib(&out), ran.peak_mib);
        for (peer, runs) in peers.iter().zip(&mut theirs) {
            progress.doing(format!("round {round} of {}: {}", args.rounds.number, peer.name));
            let out = work.fresh("theirs")?;
            work.run(peer, peer.prepare, &out)?;
            let before = size_mib(&out);
            let ran = work.run(peer, peer.backup, &out)?;
            runs.add(ran.seconds, size_mib(&out) - before, ran.peak_mib);
        }
    }
    let limit = limits.iter().map(|copied| copied.seconds).collect::<Vec<_>>();
    let bytes = limits.first().map_or(0.0, |copied| copied.mib);
    report.measured(
        "the limit: COPY to nowhere",
        Runs { seconds: limit.clone(), mib: vec![bytes], peak_mib: vec![0.0] }.figures(),
    );
    report.measured(OURS, ours.figures());
    peers.iter().zip(&theirs).for_each(|(peer, runs)| report.measured(peer.name, runs.figures()));
    let times = |of: &[f64]| Figure::lower(&format!("time of {OURS} / theirs"), ratios(&ours.seconds, of));
    let size = |of: &[f64]| Figure::lower("size", ratios(&ours.mib, of));
    report.measured(format!("{OURS} / the limit"), vec![times(&limit)]);
    for (peer, runs) in peers.iter().zip(&theirs) {
        report.measured(format!("{OURS} / {}", peer.name), vec![times(&runs.seconds), size(&runs.mib)]);
    }
    stages::measure(&fixture, stop, progress, report, &work)
}

impl Runs {
    fn add(&mut self, seconds: f64, mib: f64, peak_mib: f64) {
        self.seconds.push(seconds);
        self.mib.push(mib);
        self.peak_mib.push(peak_mib);
    }

    fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::lower("s", self.seconds.clone()),
            Figure::lower("MiB", self.mib.clone()),
            Figure::lower("memory MiB", self.peak_mib.clone()),
        ]
    }
}

/// Returns the ratio for each round, so that a slow phase of the machine affects both.
fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}
