//! The modes of secrets. The keys are in a directory that only root may enter, so the mode of that directory protects them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nexus_cli::credentials;
use nexus_cli::text::listed;

use crate::args::Args;
use crate::finding::Finding;

/// A path, and the permission bits that it must not have.
type Rule = (PathBuf, u32);

/// Checks all rules.
pub(super) fn check(args: &Args) -> Finding {
    let path = PathBuf::from;
    let settings =
        std::env::var_os("NEXUS_SETTINGS").map_or_else(|| path("/etc/nexus/nexus.env"), PathBuf::from);
    let mut rules: Vec<Rule> = vec![
        (path(credentials::DEFAULT_DIRECTORY), 0o077),
        (settings, 0o027),
        (path("/etc/nexus/recipients.txt"), 0o022),
        (path("/run/nexus"), 0o027),
        (args.docker_socket.to_path_buf(), 0o077),
        (path(nexus_ledger::forgetting::protocol::DEFAULT_SOCKET), 0o077),
        (args.backup_dir.to_path_buf(), 0o077),
    ];
    // Root sees these in a one-shot run; the service may not enter the directory.
    if let Ok(entries) = fs::read_dir(credentials::DEFAULT_DIRECTORY) {
        rules.extend(entries.filter_map(Result::ok).map(|entry| (entry.path(), 0o077)));
    }
    judge(&rules)
}

fn judge(rules: &[Rule]) -> Finding {
    let id = "modes";
    let open: Vec<(&Path, u32)> = rules
        .iter()
        .filter_map(|(path, forbidden)| {
            // A missing file exposes nothing.
            let mode = fs::symlink_metadata(path).ok()?.mode() & 0o7777;
            (mode & forbidden != 0).then_some((path.as_path(), mode))
        })
        .collect();
    let Some((first, mode)) = open.first() else {
        return Finding::ok(id, "No secret is open to other users.");
    };
    let all = open.iter().map(|(path, mode)| format!("{} ({mode:o})", path.display()));
    let forbidden = rules.iter().find(|(path, _)| path == first).map_or(0, |(_, forbidden)| *forbidden);
    Finding::critical(
        id,
        format!("Other users can read or change: {}.", listed(all)),
        format!(
            "Take the permissions of other users away: chmod {:o} {}",
            mode & !forbidden,
            first.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn a_mode_that_is_too_wide_is_critical_and_the_advice_closes_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nexus.env");
        fs::write(&file, "").unwrap();
        let level_of = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            judge(&[(file.clone(), 0o027), (directory.path().join("none"), 0o777)])
        };
        assert_eq!(level_of(0o640).level, FindingLevel::Ok);
        let finding = level_of(0o664);
        assert_eq!(finding.level, FindingLevel::Critical);
        assert!(finding.advice.contains(": chmod 640 "), "{}", finding.advice);
    }
}
