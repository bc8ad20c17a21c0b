//! The command line and the settings of nexus-health.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use nexus_backup_set::directory::BackupDir;
use nexus_backup_set::proof::ProofsDir;
use nexus_backup_set::rotation::Retention;
use nexus_cli::sockets::RedisSocket;
use nexus_docker_client::client::DockerSocket;
use nexus_ledger::Hourly;
use nexus_ledger::LedgerPath;
use nexus_postgres::server::ServerSettings;

use crate::thresholds::Thresholds;

/// Docker's default data root, which the daemon's `data-root` may change.
pub(crate) const DOCKER: &str = "/var/lib/docker";

/// Watches the servers, the backups and the machine, repairs what it safely can, and reports the rest in one sentence
///
/// nexus-health.service runs it all the time: systemctl status nexus-health. To check now: nexus-health --once
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-health", version)]
pub(crate) struct Args {
    /// Check once, print a table, repair nothing; exit 0 well, 1 warning, 2 critical, 3 unknown
    #[arg(long)]
    pub(crate) once: bool,

    /// Check once, and print one JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Write the addresses that programs listen on into FILE, and nothing else; nexus-health-ports.service uses it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["once", "json"], hide = true)]
    pub(crate) note_ports: Option<PathBuf>,

    /// Time between two rounds of checks, 1s to 1h
    #[arg(long, env = "NEXUS_HEALTH_INTERVAL", value_name = "TIME", default_value = "30s", value_parser = interval)]
    pub(crate) interval: Duration,

    /// Make the repairs that cannot lose data: on or off
    #[arg(long, env = "NEXUS_HEAL", value_name = "ON|OFF", default_value = "on")]
    pub(crate) heal: OnOff,

    /// The most repairs of the same thing within an hour, 1 to 60
    #[arg(long, env = "NEXUS_HEAL_PER_HOUR", value_name = "NUMBER", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) heal_per_hour: u32,

    /// PostgreSQL
    #[command(flatten)]
    pub(crate) server: ServerSettings,

    #[command(flatten)]
    pub(crate) redis_socket: RedisSocket,

    #[command(flatten)]
    pub(crate) docker_socket: DockerSocket,

    #[command(flatten)]
    pub(crate) backup_dir: BackupDir,

    #[command(flatten)]
    pub(crate) proofs_dir: ProofsDir,

    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,

    #[command(flatten)]
    pub(crate) hourly: Hourly,

    /// A directory on the file system that holds the database; with the default, nexus-health asks Docker for its data root
    #[arg(long, env = "NEXUS_HEALTH_DATA_DIR", value_name = "DIRECTORY", default_value = DOCKER)]
    pub(crate) data_dir: PathBuf,

    /// How long sets are kept
    #[command(flatten)]
    pub(crate) retention: Retention,

    /// Image of PostgreSQL [default: the one of docker-compose.yml]
    #[arg(long, env = "NEXUS_POSTGRES_IMAGE", value_name = "IMAGE")]
    pub(crate) postgres_image: Option<String>,

    /// Image of Redis [default: the one of docker-compose.yml]
    #[arg(long, env = "NEXUS_REDIS_IMAGE", value_name = "IMAGE")]
    pub(crate) redis_image: Option<String>,

    /// Ports that must be reachable from this machine only
    #[arg(
        long,
        env = "NEXUS_HEALTH_PORTS",
        value_name = "PORTS",
        default_value = "5432,6379,8003",
        value_delimiter = ','
    )]
    pub(crate) ports: Vec<u16>,

    /// Other databases of the server that you back up in another way; nexus-health does not warn about them
    #[arg(long, env = "NEXUS_HEALTH_LEFT_OUT", value_name = "DATABASES", value_delimiter = ',')]
    pub(crate) left_out: Vec<String>,

    /// Socket of nexus-api
    #[arg(long, value_name = "SOCKET", default_value = "/run/nexus/api.sock", hide = true)]
    pub(crate) api_socket: PathBuf,

    /// nexus-alert's channels; one should be set
    #[command(flatten)]
    pub(crate) alert_channels: AlertChannels,

    /// Where warnings begin
    #[command(flatten)]
    pub(crate) thresholds: Thresholds,

    /// Directory of health.json and problems.json
    #[arg(long, value_name = "DIRECTORY", default_value = "/run/nexus/health", hide = true)]
    pub(crate) run_dir: PathBuf,

    /// Directory of the disks' history and of requests to systemd
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/nexus/health", hide = true)]
    pub(crate) state_dir: PathBuf,

    /// The file for Prometheus
    #[arg(long, value_name = "FILE", default_value = "/var/lib/nexus/metrics/nexus.prom", hide = true)]
    pub(crate) metrics: PathBuf,

    /// The outcome of the monthly test alert
    #[arg(long, value_name = "FILE", default_value = "/var/lib/nexus/alerts/tested.json", hide = true)]
    pub(crate) alert_tested: PathBuf,
}

impl Args {
    /// Returns whether this run checks once and changes nothing.
    pub(crate) fn is_one_shot(&self) -> bool {
        self.once || self.json
    }
}

/// The settings of nexus-alert's channels, as it reads them; an empty one is not set.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct AlertChannels {
    #[arg(long = "alert-mail", env = "NEXUS_ALERT_MAIL", hide = true)]
    pub(crate) mail: Option<String>,

    #[arg(long = "alert-webhook-format", env = "NEXUS_ALERT_WEBHOOK_FORMAT", hide = true)]
    pub(crate) webhook: Option<String>,

    #[arg(long = "alert-command", env = "NEXUS_ALERT_COMMAND", hide = true)]
    pub(crate) command: Option<String>,

    #[arg(long = "alert-wall", env = "NEXUS_ALERT_WALL", default_value = "no", hide = true)]
    pub(crate) wall: String,
}

impl AlertChannels {
    /// Returns whether a channel is configured.
    pub(crate) fn is_one_set(&self) -> bool {
        let channels = [&self.mail, &self.webhook, &self.command];
        channels.into_iter().any(Option::is_some) || self.wall == "yes"
    }
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&time) => Ok(time),
        _ => Err("not a duration; expected 1s to 1h, such as 30s".to_owned()),
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
