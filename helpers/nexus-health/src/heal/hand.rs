//! Doing it. None of it needs a right of its own: Docker is asked by nexus-docker's closed list, systemd by a file that
//! nexus-heal-stack.path watches, because only root may start a unit.

use nexus_backup_set::directory::BackupDirectory;
use nexus_backup_set::home::Homes;
use nexus_cli::failure::{OrFailIo, Result};
use nexus_docker_client::client::Client;
use nexus_docker_client::protocol::Request;
use nexus_fs::files;
use nexus_fs::lock::Lock;

use super::plan::Action;
use crate::args::Args;
use crate::tell::file;

/// What docker says when it has restarted a container is a word.
const LONGEST: usize = 64 << 10;

/// Carries `action` out; `why` goes to whoever looks into the file.
///
/// # Errors
/// Unavailable (69) when Docker does not do it, TryLater (75) when a job is at it, I/O.
pub(crate) fn carry_out(action: Action, why: &str, args: &Args) -> Result<()> {
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
    // Whoever holds it is making one of them.
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
    fn only_leftovers_are_swept_and_nothing_while_a_backup_holds_the_lock() {
        let backups = tempfile::tempdir().unwrap();
        let path = backups.path();
        for name in [".000002-20261122T030012Z.partial", "000001-20261121T030012Z", ".other"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        let args =
            Args::parse_from(["nexus-health".into(), "--backup-dir".into(), path.as_os_str().to_owned()]);
        let lock = Lock::take(path, "a backup").unwrap();
        let refused = carry_out(Action::SweepSets, "", &args).unwrap_err();
        assert_eq!(refused.exit(), Exit::TryLater);
        drop(lock);
        carry_out(Action::SweepSets, "", &args).unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".lock", ".other", "000001-20261121T030012Z"]);
    }
}
