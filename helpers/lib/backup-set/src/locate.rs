//! Finds the set for an id, and the identity to decrypt it.

use std::path::{Path, PathBuf};

use age::Identity;
use nexus_cli::credentials;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};

use crate::directory::{BackupDirectory, SetEntry};
use crate::keys;

/// Returns the set with this `id`: a number, a name or `latest` in `backup_dir`, or the path of a
/// set's directory anywhere (a stick, a disk of another machine).
///
/// # Errors
/// Usage (64) when the set does not exist; I/O.
pub fn find_set(backup_dir: &Path, id: &str) -> Result<SetEntry> {
    if id.contains('/') || (id.parse::<u64>().is_err() && id != "latest" && Path::new(id).is_dir()) {
        return at_path(Path::new(id));
    }
    BackupDirectory::at(backup_dir)?.find(id)
}

fn at_path(path: &Path) -> Result<SetEntry> {
    let doing = || format!("opening set {}", path.display());
    // `.` or a link does not have the set's name; the resolved directory does.
    let real = path.canonicalize().or_fail_io(doing)?;
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.parse().map_err(|cause: crate::name::NotASetName| {
        Failure::new(Exit::Usage, doing())
            .because(cause)
            .advise("Rename the directory to the name that nexus-backup gave it")
    })?;
    if !real.is_dir() {
        return Err(Failure::new(Exit::Usage, doing()).because("not a directory"));
    }
    Ok(SetEntry { name, path: real })
}

/// The file of the identity. Each thread reads the identities itself, because threads cannot share
/// them.
#[derive(Clone, Debug)]
pub struct IdentitySource {
    path: PathBuf,
}

impl IdentitySource {
    /// Uses the given identity file, or that of this machine.
    pub fn with(identity: Option<&Path>) -> Self {
        Self { path: identity.map_or_else(|| credentials::path_of("machine_identity"), Path::to_owned) }
    }

    /// Returns whether the file exists and is readable.
    pub fn is_there(&self) -> bool {
        std::fs::File::open(&self.path).is_ok()
    }

    /// Reads the identities in the file.
    ///
    /// # Errors
    /// Usage (64) when the file does not exist; those of [`keys::identities`].
    pub fn identities(&self) -> Result<Vec<Box<dyn Identity>>> {
        if matches!(self.path.try_exists(), Ok(false)) {
            return Err(Failure::new(Exit::Usage, "looking for an identity to decrypt with")
                .because(format!("{} does not exist", self.path.display()))
                .advise("Give the owner's identity file with --identity FILE"));
        }
        keys::identities(&self.path)
    }
}
