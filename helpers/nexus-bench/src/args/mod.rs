//! The command line of nexus-bench.

mod api;

pub(crate) use api::{Api, Meanwhile};

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Measures how fast the memory is, how well it finds, and how it compares with other programs
///
/// It creates its own database, nexus_bench, and drops it at the end. It reads and changes no other
/// database.
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-bench", version)]
pub(crate) struct Args {
    /// The benchmark
    #[command(subcommand)]
    pub(crate) benchmark: Benchmark,
}

/// A benchmark.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Benchmark {
    /// Insert and search over HTTP: p50, p95, p99, throughput, recall@10
    ///
    /// It starts its own nexus-api. First, some clients send requests without a pause. Then
    /// requests start at random times, even if earlier ones are still running. Each is timed from
    /// its planned start.
    Api(Api),
    /// Backup: time, size, memory, and distance from the limit; compared with others
    Backup(Compared),
    /// Restore: time until the first answer and until all indexes exist; compared with others
    Restore(Compared),
    /// Idle services: memory and processor time; compared with others
    Idle(Idle),
    /// Time from the start of nexus.target until all is well; stops and starts the live stack
    Boot(Boot),
}

/// The output of the report.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Output {
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Compare with an earlier report of --json, and list changes beyond the noise
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

/// The server for the benchmark's database.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// Directory of PostgreSQL's socket
    #[arg(
        long = "pg-host",
        env = "NEXUS_PG_HOST",
        value_name = "DIRECTORY",
        default_value = "/run/nexus/postgres"
    )]
    pub(crate) host: String,

    /// Port, 1 to 65535; the name of the socket file contains it too
    #[arg(long = "pg-port", env = "NEXUS_PG_PORT", value_name = "PORT", default_value_t = 5432)]
    pub(crate) port: u16,

    /// Superuser
    #[arg(long = "pg-user", env = "NEXUS_PG_USER", value_name = "ROLE", default_value = "postgres")]
    pub(crate) user: String,
}

/// The content of the benchmark's database.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Data {
    /// Episodes, 100 to 10000000
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub(crate) episodes: u32,

    /// Source of the vectors
    #[arg(long, value_name = "FROM", default_value = "mixture")]
    pub(crate) vectors: Source,

    /// File of texts to store, one per paragraph, repeated if they are too few [default: made-up
    /// words]
    #[arg(long, value_name = "FILE")]
    pub(crate) texts: Option<PathBuf>,

    /// Seed of the random generator
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// The source of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// nexus-embed computes them from the texts
    Model,
    /// A mixture with the spectrum of real vectors, without a model
    Mixture,
}

impl Data {
    /// Describes the vectors in the report.
    pub(crate) fn kind(&self) -> String {
        let texts = self
            .texts
            .as_ref()
            .map_or("made-up words".to_owned(), |path| format!("texts of {}", path.display()));
        match self.vectors {
            Source::Mixture => format!("a mixture with the spectrum of real ones, {texts}"),
            Source::Model => format!("the model's, of {texts}"),
        }
    }
}

/// Settings of `nexus-bench backup` and `nexus-bench restore`.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Compared {
    #[command(flatten)]
    pub(crate) data: Data,

    #[command(flatten)]
    pub(crate) rounds: Rounds,

    #[command(flatten)]
    pub(crate) server: ServerArgs,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// The number of rounds, and the competitors.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Rounds {
    /// Rounds, in which each program runs once, 1 to 100; the median counts
    #[arg(long = "rounds", id = "rounds", value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) number: u8,

    /// Compare with the other programs that are installed here
    #[arg(long)]
    pub(crate) peers: bool,

    /// Compare only with programs whose name contains this
    #[arg(long, value_name = "WORDS", requires = "peers", allow_hyphen_values = true)]
    pub(crate) only: Option<String>,

    /// Directory for the backups, on the disk to measure
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/tmp")]
    pub(crate) directory: PathBuf,
}

/// Settings of `nexus-bench idle`.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Idle {
    /// Time to measure, 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = time)]
    pub(crate) time: Duration,

    /// Compare with netdata and prometheus-node-exporter, if they are installed here
    #[arg(long)]
    pub(crate) peers: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// Settings of `nexus-bench boot`.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Boot {
    /// Rounds, 1 to 100; the median counts
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) rounds: u8,

    /// Stop the live stack without asking
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// Parses a time from 1s to 1h.
fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&time) => Ok(time),
        _ => Err("expected a time from 1s to 1h, such as 20s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Args>()
    }
}
