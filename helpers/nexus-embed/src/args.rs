//! What nexus-embed can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use nexus_embed::backfill::Places;

/// Turns texts into vectors, on this machine
///
/// Without an argument it is the service, which nexus-embed.socket starts when somebody asks and which leaves when nobody
/// has for a while. By hand: nexus-embed --check
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-embed", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Fill in the vectors that episodes lack; nexus-embed-backfill.timer does it every minute
    #[arg(long)]
    pub(crate) backfill: bool,

    /// Say how many vectors are of the model that is used, and of others; exit 65 if there are others
    #[arg(long, conflicts_with = "backfill")]
    pub(crate) check: bool,

    /// Queue the episodes whose vectors are of another model, and those that have failed
    #[arg(long, requires = "check")]
    pub(crate) requeue: bool,

    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// The model: a folder below /var/lib/nexus/models, or a path
    #[arg(long, env = "NEXUS_EMBED_MODEL", value_name = "NAME|DIRECTORY", default_value = "all-MiniLM-L6-v2", value_parser = model)]
    pub(crate) model: String,

    /// The service leaves when nobody has asked for so long, 1s to 1day
    #[arg(long, env = "NEXUS_EMBED_IDLE", value_name = "TIME", default_value = "5min", value_parser = idle)]
    pub(crate) idle: Duration,

    /// Processors that a text is shared out among, 1 to 64 [default: all, but no more than 4]
    #[arg(long, env = "NEXUS_EMBED_THREADS", value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: Option<u16>,

    /// Socket of the service, for --backfill and --check
    #[arg(long, env = "NEXUS_EMBED_SOCKET", value_name = "SOCKET", default_value = "/run/nexus/embed.sock")]
    pub(crate) socket: PathBuf,

    /// Directory of PostgreSQL's socket, or a host name
    #[arg(long, env = "NEXUS_PG_HOST", value_name = "DIRECTORY", default_value = "/run/nexus/postgres")]
    pub(crate) pg_host: String,

    /// Port (part of the socket's name too)
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
    pub(crate) fn places(&self) -> Places {
        Places {
            pg_host: self.pg_host.clone(),
            pg_port: self.pg_port,
            database: self.pg_database.clone(),
            socket: self.socket.clone(),
        }
    }

    /// How many threads embed.
    pub(crate) fn threads(&self) -> usize {
        // More gain nothing for a text of some words, and take time from others.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or(processors.min(4), usize::from)
    }
}

fn idle(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&time) => Ok(time),
        _ => Err("it is a time from 1s to 1day, such as 5min".to_owned()),
    }
}

fn model(text: &str) -> Result<String, String> {
    let is_path = text.starts_with('/');
    if text.is_empty() || text.contains('\0') || (!is_path && (text.contains('/') || text.starts_with('.'))) {
        return Err(
            "it is the name of a folder below /var/lib/nexus/models, or a path that begins with /".to_owned()
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    /// Manual page, completions, .env.example and units say what the command line says.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Args>()
    }
}
