//! `nexus-bench restore`: the time until the first answer and until all indexes exist, compared
//! with other programs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::Control;

use crate::args::Compared;
use crate::competitors::Peer;
use crate::fixture::Fixture;
use crate::process::{self, Ran};
use crate::report::{Figure, Report};
use crate::work::{TARGET, Work};

/// Searches the ten rows nearest to a row, and counts all rows.
const SEARCH: &str = "SELECT (SELECT count(*) FROM nexus_memory.zep_episodic_memory), (SELECT count(*) FROM (SELECT FROM \
    nexus_memory.zep_episodic_memory ORDER BY embedding OPERATOR(public.<=>) (SELECT embedding FROM \
    nexus_memory.zep_episodic_memory LIMIT 1) LIMIT 10))";

/// How often the search is tried before the first answer.
const INTERVAL: Duration = Duration::from_millis(100);

/// A program that restores.
enum Program {
    Ours { early: bool },
    Theirs(&'static Peer),
}

/// The results of one program, for each round.
struct Runs {
    program: Program,
    first: Vec<f64>,
    complete: Vec<f64>,
    peak_mib: Vec<f64>,
}

/// Measures and reports.
///
/// # Errors
/// Unavailable (69) if the server or a NEXUS program fails; TryLater (75) after a signal.
pub(crate) fn run(args: &Compared, stop: &Stop) -> Result<()> {
    Report::of("restore", &args.output, |report, progress| {
        report.set("rounds", args.rounds.number);
        measure(args, stop, progress, report)
    })
}

fn measure(args: &Compared, stop: &Stop, progress: &Progress, report: &mut Report) -> Result<()> {
    progress.doing(format!("filling a database with {} episodes", args.data.episodes));
    let fixture = Fixture::filled(&args.server, &args.data, stop, report)?;
    let work = Work::new(&args.rounds, &fixture, stop)?;
    fixture.drop_database(TARGET)?;
    let sets = work.fresh("sets")?;
    process::measured(&mut work.backup(&sets), "nexus-backup", stop, |_| ())?;
    let peers = work.peers(&args.rounds, report)?;
    for peer in peers.iter().filter(|peer| peer.restore.is_none()) {
        report.note(format!("{}: not measured, it does not restore one database beside others", peer.name));
    }
    let peers = peers.into_iter().filter(|peer| peer.restore.is_some());
    let all = [Program::Ours { early: true }, Program::Ours { early: false }]
        .into_iter()
        .chain(peers.map(Program::Theirs));
    let mut runs: Vec<Runs> =
        all.map(|program| Runs { program, first: vec![], complete: vec![], peak_mib: vec![] }).collect();
    for round in 1..=args.rounds.number {
        for runs in &mut runs {
            progress.doing(format!("round {round} of {}: {}", args.rounds.number, runs.program.name()));
            let (ran, first) = one(&runs.program, &fixture, &work, &sets, stop, progress)?;
            fixture.drop_database(TARGET)?;
            runs.first.push(first.unwrap_or(ran.seconds));
            runs.complete.push(ran.seconds);
            runs.peak_mib.push(ran.peak_mib);
        }
    }
    for runs in &runs {
        let figures = vec![
            Figure::lower("first answer s", runs.first.clone()),
            Figure::lower("complete s", runs.complete.clone()),
            Figure::lower("memory MiB", runs.peak_mib.clone()),
        ];
        report.measured(runs.program.name(), figures);
    }
    report.note("Ours compare every row with what was backed up before they answer; the others do not.");
    Ok(())
}

impl Program {
    fn name(&self) -> String {
        match self {
            Self::Ours { early: true } => "nexus-restore apply --serve-early".to_owned(),
            Self::Ours { early: false } => "nexus-restore apply".to_owned(),
            Self::Theirs(peer) => format!("{}, restored", peer.name),
        }
    }
}

/// Runs one restore. Also returns after how many seconds it answered a search; `None` for a dump,
/// whose rows are complete only at the end.
fn one(
    program: &Program,
    fixture: &Fixture,
    work: &Work<'_>,
    sets: &Path,
    stop: &Stop,
    progress: &Progress,
) -> Result<(Ran, Option<f64>)> {
    let mut first = None;
    let ran = match program {
        Program::Theirs(peer) => {
            let out = work.fresh("theirs")?;
            work.run(peer, peer.prepare, &out)?;
            work.run(peer, peer.backup, &out)?;
            work.run(peer, peer.restore.unwrap_or("false"), &out)?
        }
        Program::Ours { early } => {
            let mut next = Duration::ZERO;
            process::measured(&mut ours(work, sets, *early), &program.name(), stop, |elapsed| {
                progress.advance(0);
                if first.is_none() && elapsed >= next {
                    next = elapsed + INTERVAL;
                    first = answers(fixture, stop).is_ok().then_some(elapsed.as_secs_f64());
                }
            })?
        }
    };
    let rows = answers(fixture, stop)?;
    if rows != fixture.rows {
        return Err(Failure::new(Exit::Data, format!("counting the rows that {} restored", program.name()))
            .because(format!("{rows} rows of {}", fixture.rows)));
    }
    Ok((ran, first))
}

fn ours(work: &Work<'_>, sets: &Path, early: bool) -> Command {
    let mut command = work.ours("nexus-restore");
    command.args(["apply", "latest", "--yes", "--json", "--into", TARGET]);
    command.arg("--backup-dir").arg(sets).arg("--identity").arg(work.path("identity"));
    if early {
        command.arg("--serve-early");
    }
    command
}

/// Returns the number of rows once a search answers.
fn answers(fixture: &Fixture, stop: &Stop) -> Result<i64> {
    let control = Control::open(&fixture.server, TARGET, stop)?;
    Ok(control.row("searching in the restored database", SEARCH, &[])?.get(0))
}
