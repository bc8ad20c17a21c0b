//! What nexus-bench can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Measures how fast the memory is, and how well it finds
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
    /// Insert and search over the API: p50, p95, p99, throughput, recall@10
    ///
    /// Fills the memory of an agent of its own through the API, measures, and removes its rows again. Requests come at
    /// their times, whether earlier ones are answered or not, and each is timed from when it should have begun.
    Api(Api),
}

/// Settings of `nexus-bench api`.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Api {
    /// The API's socket
    #[arg(long, value_name = "SOCKET", default_value = "/run/nexus/api.sock")]
    pub(crate) socket: PathBuf,

    /// Episodes that there are when it is measured, 100 to 10000000
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub(crate) episodes: u32,

    /// Time for each kind of request, 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    pub(crate) time: Duration,

    /// Requests a second, 1 to 10000
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rate: u32,

    /// Where vectors come from: the model (as texts), or given, a mixture of directions
    #[arg(long, value_name = "FROM", default_value = "given")]
    pub(crate) vectors: Source,

    /// Queries whose answers are compared with the exact ones, 1 to 10000
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) queries: u32,

    /// What is random begins with this
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,

    /// The agent whose memory is filled, and emptied at the end [default: bench and the seed]
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,

    /// Leave its rows there
    #[arg(long)]
    pub(crate) keep: bool,

    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Directory of PostgreSQL's socket
    #[arg(
        long = "pg-host",
        env = "NEXUS_PG_HOST",
        value_name = "DIRECTORY",
        default_value = "/run/nexus/postgres"
    )]
    pub(crate) pg_host: String,

    /// Number in the socket's name
    #[arg(long = "pg-port", env = "NEXUS_PG_PORT", value_name = "PORT", default_value_t = 5432)]
    pub(crate) pg_port: u16,

    /// Database that holds the memory: the one of that API
    #[arg(long = "pg-database", env = "NEXUS_PG_DATABASE", value_name = "NAME", default_value = "nexus")]
    pub(crate) pg_database: String,
}

/// Where vectors come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// nexus-embed makes them of the texts.
    Model,
    /// A mixture of directions, without any model.
    Given,
}

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
