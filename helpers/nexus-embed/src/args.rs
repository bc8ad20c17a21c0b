//! The command line and settings of nexus-embed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use nexus_embed::backfill::Endpoints;

/// Turns texts into vectors on this machine
///
/// Without an argument it is the service. nexus-embed.socket starts it on the first request, and it
/// exits when it is idle. By hand: nexus-embed --check
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-embed", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Fill in missing vectors of episodes; nexus-embed-backfill.timer does it every minute
    #[arg(long)]
    pub(crate) backfill: bool,

    /// Count the vectors of the current model and of others; exit 65 if there are others
    #[arg(long, conflicts_with = "backfill")]
    pub(crate) check: bool,

    /// Queue the episodes that have a vector of another model, and those that failed
    #[arg(long, requires = "check")]
    pub(crate) requeue: bool,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Model: a directory below /var/lib/nexus/models, or an absolute path
    #[arg(long, env = "NEXUS_EMBED_MODEL", value_name = "NAME|DIRECTORY", default_value = "all-MiniLM-L6-v2", value_parser = model)]
    pub(crate) model: String,

    /// Idle time after which the service exits, 1s to 1day
    #[arg(long, env = "NEXUS_EMBED_IDLE", value_name = "TIME", default_value = "5min", value_parser = idle)]
    pub(crate) idle: Duration,

    /// Threads that work on one text, 1 to 64 [default: one per processor, at most 4]
    #[arg(long, env = "NEXUS_EMBED_THREADS", value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: Option<u16>,

    /// Socket of the service, for --backfill and --check
    #[arg(long, env = "NEXUS_EMBED_SOCKET", value_name = "SOCKET", default_value = "/run/nexus/embed.sock")]
    pub(crate) socket: PathBuf,

    /// Directory of PostgreSQL's socket, or a host name
    #[arg(long, env = "NEXUS_PG_HOST", value_name = "DIRECTORY", default_value = "/run/nexus/postgres")]
    pub(crate) pg_host: String,

    /// Port, 1 to 65535; the name of the socket file contains it too
    #[arg(long, env = "NEXUS_PG_PORT", value_name = "PORT", default_value_t = 5432)]
    pub(crate) pg_port: u16,

    /// Database that holds the memory
    #[arg(long, env = "NEXUS_PG_DATABASE", value_name = "NAME", default_value = "nexus")]
    pub(crate) pg_database: String,

    /// Directory of the models
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/nexus/models", hide = true)]
    pub(crate) models_dir: PathBuf,
}

impl Args {
    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints {
            pg_host: self.pg_host.clone(),
            pg_port: self.pg_port,
            database: self.pg_database.clone(),
            socket: self.socket.clone(),
        }
    }

    /// Returns the number of threads that work on one text.
    pub(crate) fn threads(&self) -> usize {
        // More threads do not speed up a short text, and take time from other programs.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or(processors.min(4), usize::from)
    }
}

fn idle(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&time) => Ok(time),
        _ => Err("expected a time from 1s to 1day, such as 5min".to_owned()),
    }
}

fn model(text: &str) -> Result<String, String> {
    let is_path = text.starts_with('/');
    if text.is_empty() || text.contains('\0') || (!is_path && (text.contains('/') || text.starts_with('.'))) {
        return Err(
            "expected the name of a directory below /var/lib/nexus/models, or an absolute path".to_owned()
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Args>()
    }
}
