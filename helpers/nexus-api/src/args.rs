//! The command line and settings of nexus-api.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use nexus_cli::sockets::RedisSocket;

/// Serves the memory over HTTP: insert and search episodes
///
/// nexus-api.socket starts it, on 127.0.0.1:8003 and /run/nexus/api.sock: systemctl status nexus-api.socket
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-api", version)]
pub struct Args {
    /// Directory of PostgreSQL's socket
    #[arg(
        long = "pg-host",
        env = "NEXUS_PG_HOST",
        value_name = "DIRECTORY",
        default_value = "/run/nexus/postgres"
    )]
    pub pg_host: String,

    /// Port, 1 to 65535; the name of the socket file contains it too
    #[arg(long = "pg-port", env = "NEXUS_PG_PORT", value_name = "PORT", default_value_t = 5432)]
    pub pg_port: u16,

    /// Database that holds the memory
    #[arg(long = "pg-database", env = "NEXUS_PG_DATABASE", value_name = "NAME", default_value = "nexus")]
    pub pg_database: String,

    /// PostgreSQL role of nexus-api; row-level security must apply to it
    #[arg(long = "pg-user", env = "NEXUS_API_PG_USER", value_name = "ROLE", default_value = "nexus_app")]
    pub pg_user: String,

    /// Connections to PostgreSQL, 1 to 64
    #[arg(long, env = "NEXUS_API_CONNECTIONS", value_name = "NUMBER", default_value_t = 6,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,

    /// Redis
    #[command(flatten)]
    pub redis_socket: RedisSocket,

    /// Socket of nexus-embed
    #[arg(long, env = "NEXUS_EMBED_SOCKET", value_name = "SOCKET", default_value = "/run/nexus/embed.sock")]
    pub embed_socket: PathBuf,

    /// Socket of nexus-purge
    #[arg(long, env = "NEXUS_PURGE_SOCKET", value_name = "SOCKET", default_value = "/run/nexus/purge.sock")]
    pub purge_socket: PathBuf,

    /// Longest request, in bytes, with unit (k, m), 64k to 20m
    #[arg(long, env = "NEXUS_API_BODY", value_name = "SIZE", default_value = "4m", value_parser = body_size)]
    pub body: usize,

    /// Longest text of an episode, in bytes, with unit (k, m), 1k to 16m
    #[arg(long, env = "NEXUS_API_CONTENT", value_name = "SIZE", default_value = "1m", value_parser = content_size)]
    pub content: usize,

    /// Requests answered at once, 1 to 1024; more get status 503
    #[arg(long, env = "NEXUS_API_CONCURRENCY", value_name = "NUMBER", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,

    /// Time for one request, 1s to 5min
    #[arg(long, env = "NEXUS_API_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = timeout)]
    pub timeout: Duration,

    /// Requests a minute for each client on this machine; 0 = no limit
    #[arg(long, env = "NEXUS_API_RATE", value_name = "NUMBER", default_value_t = 0)]
    pub rate: u32,

    /// Host names accepted over TCP besides 127.0.0.1, localhost and ::1, separated by commas
    #[arg(long, env = "NEXUS_API_HOSTS", value_name = "NAMES", value_delimiter = ',')]
    pub hosts: Vec<String>,

    /// Requests a minute for each address of another machine, 1 to 100000
    #[arg(long = "outside-rate", env = "NEXUS_REMOTE_RATE", value_name = "NUMBER", default_value_t = 120,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub remote_rate: u32,

    /// Calls for other machines besides /memory, /health and /stats, separated by commas; export
    /// includes import
    #[arg(long = "outside-calls", env = "NEXUS_REMOTE_CALLS", value_name = "CALLS", value_delimiter = ',')]
    pub remote_calls: Vec<RemoteCall>,

    /// Candidates of a search by meaning, 10 to 1000: more find more and take longer; auto = by the
    /// number of rows
    #[arg(long, env = "NEXUS_API_EF_SEARCH", value_name = "NUMBER", default_value = "auto", value_parser = candidates)]
    pub ef_search: Candidates,

    /// Time limit for the vector of a new episode, 10ms to 30s; after it the episode is stored
    /// without one
    #[arg(long, env = "NEXUS_API_EMBED_TIME", value_name = "TIME", default_value = "1s", value_parser = embed_time)]
    pub embed_time: Duration,

    /// Time that recent lists stay in Redis, 1s to 1h
    #[arg(long, env = "NEXUS_API_CACHE", value_name = "TIME", default_value = "30s", value_parser = cache_time)]
    pub cache: Duration,

    /// Items of the working memory, 1 to 100
    #[arg(long, env = "NEXUS_WORKING_ITEMS", value_name = "NUMBER", default_value_t = 7,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub working_items: u16,

    /// Time that an item stays in the working memory, 1s to 30d
    #[arg(long, env = "NEXUS_WORKING_TTL", value_name = "TIME", default_value = "1h", value_parser = working_time)]
    pub working_ttl: Duration,

    /// Address and port, or path of a socket, to listen on if systemd passes none; repeatable
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<String>,
}

/// Calls that other machines may use only if `NEXUS_REMOTE_CALLS` names them.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteCall {
    /// `/metrics`
    Metrics,
    /// `/memory/export` and `/memory/import`
    Export,
}

/// The number of candidates of a search by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// The number of rows determines it.
    ByRows,
    /// The owner has set it.
    Given(u16),
}

fn candidates(text: &str) -> Result<Candidates, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Candidates::ByRows),
        Ok(number) if (10..=1000).contains(&number) => Ok(Candidates::Given(number)),
        _ => Err("expected auto, or a number from 10 to 1000".to_owned()),
    }
}

fn body_size(text: &str) -> Result<usize, String> {
    size(text, 64 << 10, 20 << 20).ok_or_else(|| "expected a size from 64k to 20m".to_owned())
}

fn content_size(text: &str) -> Result<usize, String> {
    size(text, 1 << 10, 16 << 20).ok_or_else(|| "expected a size from 1k to 16m".to_owned())
}

/// Parses `4m`, `64k` or `1000`.
fn size(text: &str, least: usize, most: usize) -> Option<usize> {
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 10),
        None => text.strip_suffix(['m', 'M']).map_or((text, 0), |number| (number, 20)),
    };
    let size = number.parse::<usize>().ok()?.checked_mul(1 << unit)?;
    (least..=most).contains(&size).then_some(size)
}

fn timeout(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_secs(1), Duration::from_secs(300), "1s to 5min")
}

fn embed_time(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_millis(10), Duration::from_secs(30), "10ms to 30s")
}

fn cache_time(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_secs(1), Duration::from_secs(3600), "1s to 1h")
}

fn working_time(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_secs(1), Duration::from_secs(30 * 86400), "1s to 30d")
}

fn time(text: &str, least: Duration, most: Duration, range: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (least..=most).contains(&time) => Ok(time),
        _ => Err(format!("expected a time from {range}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<Args>()
    }

    #[test]
    fn candidates_are_a_number_or_auto() {
        assert_eq!(candidates("auto"), Ok(Candidates::ByRows));
        assert_eq!(candidates("10"), Ok(Candidates::Given(10)));
        assert_eq!(candidates("1000"), Ok(Candidates::Given(1000)));
        for wrong in ["9", "1001", "", "many", "-5", "100.0", "70000"] {
            assert!(candidates(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units_and_limits() {
        assert_eq!(body_size("4m"), Ok(4 << 20));
        assert_eq!(body_size("65536"), Ok(64 << 10));
        for wrong in ["63k", "21m", "", "m", "4g", "-1", "99999999999999999999m"] {
            assert!(body_size(wrong).is_err(), "{wrong}");
        }
    }
}
