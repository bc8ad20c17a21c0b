//! How long the model takes, by tokens and threads: what docs/EMBEDDING.md has a table of.
//!
//! cargo run --release -p nexus-embed --example measure -- FOLDER [THREADS]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nexus_core::embedding::protocol::Kind;
use nexus_embed::machine::Instructions;
use nexus_embed::model::Model;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("usage: measure FOLDER [THREADS]");
        return ExitCode::from(64);
    };
    let threads = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        eprintln!("measure: {error}");
        return ExitCode::from(69);
    }
    match measure(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("measure: {failure}");
            failure.exit_code()
        }
    }
}

fn measure(folder: &Path) -> nexus_core::failure::Result<()> {
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
        for (tokens, rounds) in [(9, 200), (20, 200), (64, 50), (256, 20)] {
            // "word" is one token; two go around the text.
            let text = vec!["word"; tokens - 2].join(" ");
            let mut times = Vec::new();
            let before = processor_time();
            for _ in 0..rounds {
                let began = Instant::now();
                model.embed(&[(Kind::Query, &text)], &mut || {})?;
                times.push(began.elapsed());
            }
            let worked = milliseconds(processor_time().saturating_sub(before)) / f64::from(rounds);
            times.sort();
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

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What all threads have worked so far: on a busy machine this says more than the clock does. It counts in steps of 10 ms.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may have spaces in it: the 14th and 15th fields of proc_pid_stat(5), in hundredths of a second.
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// A line of /proc/self/status, in MiB.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}
