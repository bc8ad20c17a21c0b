//! Acts on files as the owner of their directory.

use std::fs;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, geteuid, getgroups, setfsgid, setfsuid, setgroups};

/// No user or group has this number. Given it, the kernel returns the present id and changes
/// nothing (setfsuid(2)).
const NOBODY: u32 = u32::MAX;

/// While this exists, this thread of a root process has only the file rights of another user. Files
/// that it creates belong to that user, and it cannot change files that the user cannot change,
/// wherever a planted link leads.
///
/// The kernel keeps these rights per thread (setfsuid(2)), and a thread that starts in the meantime
/// inherits them for good. So use it for a few system calls only, and start no threads or programs
/// in between. It cannot be sent to another thread. An open file keeps the rights that it was
/// opened with.
#[derive(Debug)]
pub struct AsOwner {
    before: Option<(Uid, Gid)>,
    this_thread: PhantomData<*const ()>,
}

impl AsOwner {
    /// Acts as the owner of the directory that contains `path`. Changes nothing if the process does
    /// not run as root, or root owns the directory.
    ///
    /// # Errors
    /// I/O; `PermissionDenied` where root may not act as others.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut acting = Self { before: None, this_thread: PhantomData };
        if !geteuid().is_root() {
            return Ok(acting);
        }
        let path = std::path::absolute(path)?;
        let Some((user, group)) = owner_of(path.parent().unwrap_or(Path::new("/")))? else {
            return Ok(acting);
        };
        // Root's groups would still grant access. The whole process drops them for good; root does
        // not need them.
        if !getgroups()?.is_empty() {
            setgroups(&[])?;
        }
        acting.before = Some((setfsuid(user), setfsgid(group)));
        if (setfsuid(Uid::from_raw(NOBODY)), setfsgid(Gid::from_raw(NOBODY))) != (user, group) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        Ok(acting)
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        if let Some((user, group)) = self.before {
            setfsuid(user);
            setfsgid(group);
        }
    }
}

/// Returns the user who controls `directory` and that user's group; `None` if root controls it.
///
/// The last directory of the path that root does not own decides: its owner may have created the
/// rest of the path, even a link to a directory of root's. A link that root owns counts as a
/// directory. The owner of a directory cannot give it to root, so the result holds during the
/// check.
fn owner_of(directory: &Path) -> io::Result<Option<(Uid, Gid)>> {
    let mut decides = None;
    let mut place = PathBuf::new();
    for part in directory.components() {
        place.push(part);
        let mut found = fs::symlink_metadata(&place)?;
        if found.uid() == 0 && found.is_symlink() {
            found = fs::metadata(&place)?;
        }
        if found.uid() != 0 {
            decides = Some((Uid::from_raw(found.uid()), Gid::from_raw(found.gid())));
        }
    }
    let Some((user, group)) = decides else { return Ok(None) };
    // The group of a directory may be root.
    let own_group = User::from_uid(user)?.map(|user| user.gid);
    Ok(Some((user, own_group.unwrap_or(group))))
}
