//! What nexus-bench can be told.

mod api;

pub(crate) use api::{Api, Meanwhile};

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Measures how fast the memory is, how well it finds, and what else could be used
///
/// What it fills is a database of its own, nexus_bench, which it drops at the end: nobody's memory is read or changed.
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-bench", version)]
pub(crate) struct Args {
    /// What is measured
    #[command(subcommand)]
    pub(crate) what: What,
}

/// What is measured.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum What {
    /// Insert and search over HTTP: p50, p95, p99, throughput, recall@10
    ///
    /// By a nexus-api of its own. First as many requests as a number of clients get answered, then requests at their times,
    /// whether earlier ones are answered or not, each timed from when it should have begun.
    Api(Api),
    /// A backup: time, size, memory, and how far from the limit; beside others
    Backup(Compared),
    /// A restore: until the first answer, until all indexes are there; beside others
    Restore(Compared),
    /// What is resident: memory and processor time; beside others
    Idle(Idle),
    /// From the start of nexus.target until all is well; stops and starts the living stack
    Boot(Boot),
}

/// How the report is given.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Output {
    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Compare with what --json gave earlier, and say what has become worse beyond the noise
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

/// The server in which the database of its own is made.
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

    /// Number in the socket's name
    #[arg(long = "pg-port", env = "NEXUS_PG_PORT", value_name = "PORT", default_value_t = 5432)]
    pub(crate) port: u16,

    /// Superuser
    #[arg(long = "pg-user", env = "NEXUS_PG_USER", value_name = "ROLE", default_value = "postgres")]
    pub(crate) user: String,
}

/// What it is filled with.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Data {
    /// Episodes, 100 to 10000000
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub(crate) episodes: u32,

    /// Where vectors come from
    #[arg(long, value_name = "FROM", default_value = "mixture")]
    pub(crate) vectors: Source,

    /// Texts to be stored, one a paragraph, again and again if they are too few [default: made-up words]
    #[arg(long, value_name = "FILE")]
    pub(crate) texts: Option<PathBuf>,

    /// What is random begins with this
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Where vectors come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// nexus-embed makes them of the texts
    Model,
    /// A mixture that has the spectrum of real ones, without any model
    Mixture,
}

impl Data {
    /// What is said of them in the report.
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

/// Settings of `nexus-bench backup` and `nexus-bench restore`: what is compared with what others do.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Compared {
    #[command(flatten)]
    pub(crate) data: Data,

    #[command(flatten)]
    pub(crate) rounds: Rounds,

    #[command(flatten)]
    pub(crate) place: ServerArgs,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// How often, and beside whom.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Rounds {
    /// How often each is measured, in turn; the median counts, 1 to 100
    #[arg(long = "rounds", id = "rounds", value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) number: u8,

    /// Beside what else could be used, of what is installed here
    #[arg(long)]
    pub(crate) peers: bool,

    /// Of the others, only those whose name has this in it
    #[arg(long, value_name = "WORDS", requires = "peers", allow_hyphen_values = true)]
    pub(crate) only: Option<String>,

    /// Directory for what is written, on the disk that is to be measured
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/tmp")]
    pub(crate) directory: PathBuf,
}

/// Settings of `nexus-bench idle`.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Idle {
    /// For how long, 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = time)]
    pub(crate) time: Duration,

    /// Beside netdata and prometheus-node-exporter, of what is installed here
    #[arg(long)]
    pub(crate) peers: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// Settings of `nexus-bench boot`.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Boot {
    /// How often; the median counts, 1 to 100
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) rounds: u8,

    /// Do not ask before the living stack is stopped
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// A time from 1s to 1h.
fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&time) => Ok(time),
        _ => Err("it is a time from 1s to 1h, such as 20s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    /// Manual page, completions, .env.example and units say what the command line says.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Args>()
    }
}
