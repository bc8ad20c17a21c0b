//! Files in directories that another user may own: the only way in which a program that runs as
//! root opens, creates, renames and removes them.
//!
//! The owner of a directory can put a symbolic link, a pipe or another user's file at any name in
//! it. A program that runs as root and trusted the name would change, give away or wait for that
//! file. So every function here acts as the directory's owner ([`AsOwner`]), and opens regular
//! files only. A process of another user acts as itself.
//!
//! Do not use this to read the files of a set: they may belong to any user, for example on a disk
//! from another machine. See [`open_plain`].

mod owner;
mod plain;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

pub use owner::AsOwner;
pub(crate) use plain::open_direct;
pub use plain::open_plain;
use plain::open_plain_with;

/// Opens a regular file to read.
///
/// # Errors
/// `InvalidData` if it is not a regular file; else what open(2) says.
pub fn open(path: &Path) -> io::Result<File> {
    let _owner = AsOwner::of(path)?;
    open_plain(path)
}

/// Reads a whole regular file.
///
/// # Errors
/// Those of [`open`], and I/O.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a whole regular file as text.
///
/// # Errors
/// Those of [`read`]; `InvalidData` if the content is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    io::read_to_string(open(path)?)
}

/// Creates a file to write. The file must not exist.
///
/// # Errors
/// What open(2) says.
pub fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let _owner = AsOwner::of(path)?;
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Opens a regular file to read and write, and creates it if there is none. Its content stays.
///
/// # Errors
/// Those of [`open`].
pub fn open_or_create(path: &Path, mode: u32) -> io::Result<File> {
    let _owner = AsOwner::of(path)?;
    let mut options = OpenOptions::new();
    open_plain_with(options.read(true).write(true).create(true).truncate(false).mode(mode), path)
}

/// Opens a regular file to append to, and creates it if there is none.
///
/// # Errors
/// Those of [`open`].
pub fn append(path: &Path, mode: u32) -> io::Result<File> {
    let _owner = AsOwner::of(path)?;
    open_plain_with(OpenOptions::new().append(true).create(true).mode(mode), path)
}

/// Opens a directory, to lock it or to sync it.
///
/// # Errors
/// `NotADirectory` if it is not a directory; else what open(2) says.
pub fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(path)
}

/// Syncs a directory's entries to disk.
///
/// # Errors
/// I/O.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    open_directory(path)?.sync_all()
}

/// Creates a directory for its owner only (0700).
///
/// # Errors
/// What mkdir(2) says.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let _owner = AsOwner::of(path)?;
    DirBuilder::new().mode(0o700).create(path)
}

/// Renames within a directory, or from one to another of the same owner.
///
/// # Errors
/// What rename(2) says.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let _owner = AsOwner::of(from)?;
    fs::rename(from, to)
}

/// Removes a file, if there is one.
///
/// # Errors
/// What unlink(2) says, except ENOENT.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    let removed = AsOwner::of(path).and_then(|_owner| fs::remove_file(path));
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a directory and its contents.
///
/// # Errors
/// I/O.
pub fn remove_directory(path: &Path) -> io::Result<()> {
    let _owner = AsOwner::of(path)?;
    fs::remove_dir_all(path)
}

/// Replaces a file with one rename: a reader sees the whole old file or the whole new one. Does not
/// sync it.
///
/// # Errors
/// I/O; the old file stays.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_with(path, mode, |file| file.write_all(content))
}

/// Like [`replace`], with what `write` writes, piece by piece.
///
/// # Errors
/// I/O, and those of `write`; the old file stays.
pub fn replace_with(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let partial = partial_of(path);
    let written = (|| {
        remove_if_there(&partial)?;
        let mut file = create_new(&partial, mode)?;
        write(&mut file)?;
        rename(&partial, path)
    })();
    if written.is_err() {
        // The partial file would only take space on a full disk.
        let _left = remove_if_there(&partial);
    }
    written
}

/// Like [`replace`], and syncs the file to disk.
///
/// # Errors
/// I/O.
pub fn replace_on_disk(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_with(path, mode, |file| file.write_all(content).and_then(|()| file.sync_all()))?;
    sync_directory(path.parent().unwrap_or(Path::new("/")))
}

/// Returns the temporary name of the file that replaces `path`. Nothing reads it by that name.
pub fn partial_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

#[cfg(test)]
mod tests;
