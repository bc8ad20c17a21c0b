//! Executes actions without privileges of its own. nexus-docker accepts a closed list of requests, and nexus-heal-stack.path
//! watches a file, because only root may start a unit.

use nexus_backup_set::directory::BackupDirectory;
use nexus_backup_set::home::Homes;
use nexus_cli::failure::{OrFailIo, Result};
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::Request;
use nexus_fs::files;
use nexus_fs::lock::Lock;

use super::plan::Action;
use crate::args::Args;
use crate::publish::file;

/// The most bytes to read of Docker's output, which is one word.
const LONGEST: usize = 64 << 10;

/// Executes `action`, and writes `why` into the request file.
///
/// # Errors
/// Unavailable (69) when Docker fails, TryLater (75) when a job holds the lock, I/O.
pub(crate) fn execute(action: Action, why: &str, args: &Args) -> Result<()> {
    let docker = |request: &Request| Client::at(&args.docker_socket).collect(request, LONGEST).map(drop);
    match action {
        Action::RestartHung(service) => docker(&Request::RestartHung { service }),
        Action::Restart(service) => docker(&Request::Restart { service }),
        Action::SweepScratch => docker(&Request::ScratchDown {}),
        Action::AskForStack | Action::AskForUnits => {
            file::replace(&args.state_dir.join("want-stack"), format!("{why}\n").as_bytes())
        }
        Action::SweepSets => sweep_sets(args),
    }
}

fn sweep_sets(args: &Args) -> Result<()> {
    let directory = BackupDirectory::at(&args.backup_dir)?;
    Homes::of_this_machine().require(&directory)?;
    // A backup that holds the lock is writing one of them.
    let _lock = Lock::take(directory.path(), "nexus-health")?;
    for path in directory.leftovers()? {
        files::remove_directory(&path).or_fail_io(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use nexus_cli::failure::Exit;

    use super::*;

    #[test]
    fn only_leftovers_are_removed_and_only_under_the_lock() {
        let backups = tempfile::tempdir().unwrap();
        let path = backups.path();
        for name in [".000002-20261122T030012Z.partial", "000001-20261121T030012Z", ".other"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        let args =
            Args::parse_from(["nexus-health".into(), "--backup-dir".into(), path.as_os_str().to_owned()]);
        let lock = Lock::take(path, "a backup").unwrap();
        let refused = execute(Action::SweepSets, "", &args).unwrap_err();
        assert_eq!(refused.exit(), Exit::TryLater);
        drop(lock);
        execute(Action::SweepSets, "", &args).unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".lock", ".other", "000001-20261121T030012Z"]);
    }
}
