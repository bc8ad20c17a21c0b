//! The command line and settings of nexus-restore-test.

use std::path::PathBuf;

use clap::Parser;
use nexus_backup_set::directory::BackupDir;
use nexus_backup_set::proof::ProofsDir;
use nexus_docker_client::client::DockerSocket;
use nexus_ledger::LedgerPath;
use nexus_redis::copies::CopiesArgs;

/// Restores a backup set into a throwaway server, compares everything with the backup, and writes a proof
///
/// Started every month by nexus-restore-test.timer; by hand: systemctl start nexus-restore-test
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-restore-test", version)]
pub(crate) struct Args {
    /// Number or name of the set, `latest`, or the path of its directory [default: the newest that is not proven]
    #[arg(value_name = "ID|latest|PATH")]
    pub(crate) set: Option<String>,

    #[command(flatten)]
    pub(crate) backup_dir: BackupDir,

    #[command(flatten)]
    pub(crate) proofs_dir: ProofsDir,

    #[command(flatten)]
    pub(crate) purge_ledger: LedgerPath,

    #[command(flatten)]
    pub(crate) redis_copies: CopiesArgs,

    /// File with the age identity to decrypt with [default: this machine's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,

    /// Tables to restore at once, 1 to 16
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) jobs: u8,

    /// Memory for the throwaway server, in MiB, 128 to 65536 [default: half of the free memory, 4096 at most]
    #[arg(long, env = "NEXUS_RESTORE_TEST_MEMORY", value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(128..=65_536))]
    pub(crate) memory: Option<u32>,

    /// Share of the ten true neighbours that a search by a vector index must find on average, 0 to 1
    #[arg(long, env = "NEXUS_RESTORE_TEST_RECALL", value_name = "SHARE", default_value_t = 0.5, value_parser = share)]
    pub(crate) recall: f64,

    #[command(flatten)]
    pub(crate) docker_socket: DockerSocket,

    /// Directory of the throwaway servers' sockets
    #[arg(long, value_name = "DIRECTORY", default_value = "/run/nexus/scratch", hide = true)]
    pub(crate) scratch_dir: PathBuf,

    /// One JSON object, the proof, on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1, such as 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    /// The manual page, the completions, .env.example and the units agree with the command line.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Args>()
    }
}
