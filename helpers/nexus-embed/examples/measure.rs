//! Measures the time of a model by tokens and threads, for the table in docs/EMBEDDING.md.
//!
//! cargo run --release -p nexus-embed --example measure -- [--line] FOLDER [THREADS]
//!
//! With --line it prints one line in the format of tests/engines.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nexus_embed::machine::Instructions;
use nexus_embed::model::Model;
use nexus_embed_client::protocol::TextKind;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let as_line = arguments.next_if_eq("--line").is_some();
    let Some(folder) = arguments.next() else {
        eprintln!("usage: measure [--line] FOLDER [THREADS]");
        return ExitCode::from(64);
    };
    let threads = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        eprintln!("measure: {error}");
        return ExitCode::from(69);
    }
    let folder = Path::new(&folder);
    match if as_line { line(folder) } else { measure(folder) } {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("measure: {failure}");
            failure.exit_code()
        }
    }
}

/// Tokens of a text, and the number of measurements.
const LENGTHS: [(usize, u32); 4] = [(9, 200), (20, 200), (64, 50), (256, 20)];

fn measure(folder: &Path) -> nexus_cli::failure::Result<()> {
    println!("{} threads", rayon::current_num_threads());
    for instructions in [Instructions::best(), Instructions::Portable] {
        let began = Instant::now();
        let model = Model::load(folder, instructions)?;
        println!(
            "{instructions:?}: loaded in {:.0} ms, {} MiB resident, {} MiB of it its own",
            milliseconds(began.elapsed()),
            resident("VmRSS"),
            resident("RssAnon")
        );
        for (tokens, rounds) in LENGTHS {
            let before = processor_time();
            let times = times_of(&model, tokens, rounds)?;
            let worked = milliseconds(processor_time().saturating_sub(before)) / f64::from(rounds);
            let at = |share: usize| milliseconds(times[(times.len() - 1) * share / 100]);
            println!(
                "{tokens:>6} tokens: least {:.2} ms, half {:.2} ms, p95 {:.2} ms; {worked:.1} ms of processors",
                at(0),
                at(50),
                at(95)
            );
        }
        println!("  after it {} MiB resident, {} MiB of it its own", resident("VmRSS"), resident("RssAnon"));
    }
    Ok(())
}

/// Prints the name, the milliseconds to load and for texts of each length, the resident MiB, and
/// two numbers of a vector.
fn line(folder: &Path) -> nexus_cli::failure::Result<()> {
    let began = Instant::now();
    let model = Model::load(folder, Instructions::best())?;
    print!("nexus-embed {:.0}", milliseconds(began.elapsed()));
    for (tokens, rounds) in LENGTHS {
        let times = times_of(&model, tokens, rounds)?;
        print!(" {:.1}", milliseconds(times[times.len() / 2]));
    }
    let vectors = model.embed(&[(TextKind::Query, &text_of(9))], &mut || {})?;
    println!(" {} {:.4} {:.4}", resident("VmRSS"), vectors[0], vectors[383]);
    Ok(())
}

/// Returns the times in ascending order.
fn times_of(model: &Model, tokens: usize, rounds: u32) -> nexus_cli::failure::Result<Vec<Duration>> {
    let text = text_of(tokens);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        model.embed(&[(TextKind::Query, &text)], &mut || {})?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(times)
}

/// Returns a text with this number of tokens: "word" is one, and two are special.
fn text_of(tokens: usize) -> String {
    vec!["word"; tokens - 2].join(" ")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Returns the processor time of all threads, in steps of 10 ms. On a busy machine it says more
/// than the clock.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name may have spaces, so this starts after it: fields 14 and 15 of proc_pid_stat(5), in
    // hundredths of a second.
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Returns a value of /proc/self/status, in MiB.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}
