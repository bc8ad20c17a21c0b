//! The command line and settings of nexus-backup.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use nexus_backup_set::directory::BackupDir;
use nexus_backup_set::proof::ProofsDir;
use nexus_backup_set::rotation::Retention;
use nexus_cli::sockets::RedisSocket;
use nexus_docker_client::client::DockerSocket;
use nexus_ledger::LedgerPath;
use nexus_postgres::server::ServerSettings;

/// Writes one encrypted backup set, then rotates old ones away
///
/// Started every night by nexus-backup.timer; by hand: systemctl start nexus-backup
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-backup", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) server: ServerSettings,

    #[command(flatten)]
    pub(crate) backup_dir: BackupDir,

    /// File with the age recipients that can read the sets, one per line
    #[arg(long, env = "NEXUS_RECIPIENTS", value_name = "FILE", default_value = "/etc/nexus/recipients.txt")]
    pub(crate) recipients: PathBuf,

    /// Compression level, 1 (fast) to 9 (small); higher levels need more memory than a small machine has
    #[arg(long, env = "NEXUS_ZSTD_LEVEL", value_name = "LEVEL", default_value_t = 2,
          value_parser = clap::value_parser!(i32).range(1..=9))]
    pub(crate) zstd_level: i32,

    /// Tables to copy at once, 1 to 16
    #[arg(long, env = "NEXUS_BACKUP_JOBS", value_name = "NUMBER", default_value_t = 2,
          value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) jobs: u8,

    /// Whether to back up Redis; auto: if any key has no time to live
    #[arg(long, env = "NEXUS_BACKUP_REDIS", value_name = "WHEN", default_value = "auto")]
    pub(crate) redis: WhenRedis,

    #[command(flatten)]
    pub(crate) redis_socket: RedisSocket,

    #[command(flatten)]
    pub(crate) retention: Retention,

    #[command(flatten)]
    pub(crate) proofs_dir: ProofsDir,

    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,

    #[command(flatten)]
    pub(crate) docker_socket: DockerSocket,

    /// Command to use in place of pg_dump in the container, for a server outside Compose
    #[arg(long, env = "NEXUS_PG_DUMP", value_name = "COMMAND")]
    pub(crate) pg_dump: Option<String>,

    /// Command to use in place of pg_dumpall in the container, for a server outside Compose
    #[arg(long, env = "NEXUS_PG_DUMPALL", value_name = "COMMAND")]
    pub(crate) pg_dumpall: Option<String>,

    /// Take no backup, only rotate; with --dry-run print what rotation would do with each set, and why
    #[arg(long)]
    pub(crate) rotate_only: bool,

    /// Take no backup; accept that the newest set holds less than older ones, and let rotation remove those again
    #[arg(long, conflicts_with_all = ["rotate_only", "dry_run", "new_directory"])]
    pub(crate) accept_smaller: bool,

    /// Accept a new directory at the path of the one that held the sets; set numbers continue
    #[arg(long)]
    pub(crate) new_directory: bool,

    /// Print what would be backed up, how, its size, and whether it fits; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// When to back up Redis.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenRedis {
    /// Back up Redis if any key has no time to live. If Redis cannot be read, the set lacks it and says so.
    Auto,
    /// Always back up Redis. If it cannot be read, the backup fails.
    Yes,
    /// Never back up Redis.
    No,
}

#[cfg(test)]
mod tests {
    /// The manual page, the completions, .env.example and the units agree with the command line.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Args>()
    }
}
