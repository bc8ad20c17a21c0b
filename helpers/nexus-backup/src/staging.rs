//! A set in the making: a directory with a leading dot. One rename publishes it whole; otherwise it is removed. A run that is
//! killed leaves it, and [`sweep`] removes it when the next run starts.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use age::x25519::Recipient;
use nexus_backup_set::CHECKSUMS;
use nexus_backup_set::checksums::Checksums;
use nexus_backup_set::directory::BackupDirectory;
use nexus_backup_set::encrypt::EncryptedWriter;
use nexus_backup_set::name::SetName;
use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::journal::message_id;
use nexus_fs::files as disk;
use nexus_fs::new_file::{NewFile, Stored, sync_directory};

/// A set in the making. Dropping it removes the directory unless it was published.
pub(crate) struct Staging {
    name: SetName,
    backups: PathBuf,
    path: PathBuf,
    recipients: Vec<Recipient>,
    zstd_level: i32,
    published: bool,
}

impl Staging {
    /// Creates `.NAME.partial` in `backups`.
    pub(crate) fn create(
        backups: &Path,
        name: SetName,
        recipients: Vec<Recipient>,
        zstd_level: i32,
    ) -> Result<Self> {
        let path = backups.join(format!(".{name}.partial"));
        create_directory(&path)?;
        let staging =
            Self { name, backups: backups.to_owned(), path, recipients, zstd_level, published: false };
        create_directory(&staging.path.join("data"))?;
        Ok(staging)
    }

    /// Returns the recipients, who can read the set.
    pub(crate) fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Creates an encrypted file of the set. Compresses it if its name ends in `.zst.age`.
    pub(crate) fn create_encrypted(&self, file: &str) -> Result<EncryptedWriter> {
        let level = file.ends_with(".zst.age").then_some(self.zstd_level);
        EncryptedWriter::create(&self.path.join(file), &self.recipients, level)
    }

    /// Writes `content` as an encrypted file.
    pub(crate) fn write_encrypted(&self, file: &str, content: &[u8]) -> Result<Stored> {
        let mut output = self.create_encrypted(file)?;
        output.write_all(content).or_fail_io(|| format!("writing {file}"))?;
        output.finish()
    }

    /// Writes `content` as an unencrypted file.
    pub(crate) fn write_clear(&self, file: &str, content: &[u8]) -> Result<Stored> {
        let mut clear = NewFile::create(&self.path.join(file))?;
        clear.write_all(content).or_fail_io(|| format!("writing {file}"))?;
        clear.finish()
    }

    /// Removes an unfinished file, if it exists.
    pub(crate) fn discard(&self, file: &str) -> Result<()> {
        disk::remove_if_there(&self.path.join(file)).or_fail_io(|| format!("removing {file}"))
    }

    /// Writes SHA256SUMS, syncs the directories, and gives the set its name.
    ///
    /// # Errors
    /// I/O. The set is then not published.
    pub(crate) fn publish(mut self, files: &BTreeMap<String, Stored>) -> Result<PathBuf> {
        let sums = Checksums(files.iter().map(|(name, stored)| (name.clone(), stored.sha256)).collect());
        self.write_clear(CHECKSUMS, sums.to_text().as_bytes())?;
        sync_directory(&self.path.join("data"))?;
        sync_directory(&self.path)?;
        let published = self.backups.join(self.name.to_string());
        disk::rename(&self.path, &published)
            .or_fail_io(|| format!("renaming {} to {}", self.path.display(), published.display()))?;
        self.published = true;
        if let Err(failure) = sync_directory(&self.backups) {
            // The new name may not be on disk, so the set may not count as stored: undo the rename.
            self.published = disk::rename(&published, &self.path).is_err();
            return Err(failure);
        }
        Ok(published)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = disk::remove_directory(&self.path)
        {
            log::warn!("removing {}: {error}. The next backup removes it", self.path.display());
        }
    }
}

fn create_directory(path: &Path) -> Result<()> {
    disk::create_directory(path).or_fail_io(|| format!("making directory {}", path.display()))
}

/// Removes the remains of killed runs. The caller holds the lock.
pub(crate) fn sweep(directory: &BackupDirectory) -> Result<()> {
    for path in directory.leftovers()? {
        disk::remove_directory(&path).or_fail_io(|| format!("removing {}", path.display()))?;
        log::info!(
            MESSAGE_ID = message_id::PARTIAL_SWEPT, NEXUS_JOB = "backup";
            "removed {}, left by a run that was killed", path.display()
        );
    }
    Ok(())
}
