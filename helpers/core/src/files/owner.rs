//! Acting on files as the owner of their directory.

use std::fs;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, geteuid, getgroups, setfsgid, setfsuid, setgroups};

/// No user or group has this number; asked for it, the kernel answers with the one of now and changes nothing (setfsuid(2)).
const NOBODY: u32 = u32::MAX;

/// While this lives, this thread of a process of root's has the rights of another user to files, and no more: what it makes is
/// that user's, and what that user cannot change it does not change, wherever a planted link leads.
///
/// The kernel keeps these rights for each thread (setfsuid(2)), and a thread that is started meanwhile inherits them for good.
/// So it is for a few system calls: nothing that starts threads or programs comes in between, and it cannot be sent to another
/// thread. A file that is open keeps the rights that it was opened with.
#[derive(Debug)]
pub struct AsOwner {
    before: Option<(Uid, Gid)>,
    this_thread: PhantomData<*const ()>,
}

impl AsOwner {
    /// Acts as the owner of the directory that `path` is in, unless the process is not root's, or the directory is.
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
        // Root's groups would still open what is theirs. Unlike the rest they go for the whole process and for good: root does
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

/// The user, other than root, who decides what `directory` is, with their own group; nothing where that is root.
///
/// The last directory on the way there that is not root's decides: whoever owns it may have put what comes after it there, be it
/// a link to a directory of root's. A link of root's is as good as a directory. What is not root's stays so while this looks,
/// because its owner cannot make anything that is root's.
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
    // A directory's group may be root's.
    let own_group = User::from_uid(user)?.map(|user| user.gid);
    Ok(Some((user, own_group.unwrap_or(group))))
}
