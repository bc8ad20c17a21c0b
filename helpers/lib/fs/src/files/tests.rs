use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use super::*;

/// A user id that this machine does not use.
const STRANGER: u32 = 45_678;

#[test]
fn only_regular_files_are_opened_and_no_open_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "text").unwrap();
    symlink(at("file"), at("link")).unwrap();
    mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for name in ["link", "pipe", "socket", "", "/dev/null"] {
        let refused = |opened: io::Result<File>| {
            assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidData, "{name}");
        };
        refused(open_plain(&at(name)));
        refused(open(&at(name)));
        if !name.is_empty() {
            refused(open_or_create(&at(name), 0o600));
            refused(append(&at(name), 0o600));
            assert_eq!(create_new(&at(name), 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists, "{name}");
        }
    }
    assert_eq!(open(&at("none")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(read(&at("file")).unwrap(), b"text");
    assert!(open_directory(&at("pipe")).is_err());
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    // Left by a killed run.
    fs::write(partial_of(&path), "half").unwrap();
    replace_on_disk(&path, b"old", 0o640).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    fs::create_dir(partial_of(&path)).unwrap();
    assert!(replace(&path, b"new", 0o600).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
    fs::remove_dir(partial_of(&path)).unwrap();
    // The target of a link is not written to.
    fs::write(directory.path().join("other"), "other").unwrap();
    symlink(directory.path().join("other"), partial_of(&path)).unwrap();
    replace(&path, b"new", 0o600).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::read(directory.path().join("other")).unwrap(), b"other");
    assert!(remove_if_there(&path).is_ok() && remove_if_there(&path).is_ok());
}

/// A directory of another user, in one of root's; `None` unless the tests run as root.
fn of_a_stranger() -> Option<(tempfile::TempDir, PathBuf)> {
    if !geteuid().is_root() {
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let theirs = root.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(STRANGER), Some(STRANGER)).unwrap();
    Some((root, theirs))
}

#[test]
fn files_that_root_creates_belong_to_the_owner_of_the_directory() {
    let Some((root, theirs)) = of_a_stranger() else { return };
    create_directory(&theirs.join("inner")).unwrap();
    create_new(&theirs.join("inner/file"), 0o600).unwrap();
    open_or_create(&theirs.join("lock"), 0o600).unwrap();
    append(&theirs.join("lines"), 0o600).unwrap();
    replace(&theirs.join("state"), b"", 0o600).unwrap();
    for name in ["inner", "inner/file", "lock", "lines", "state"] {
        let made = fs::metadata(theirs.join(name)).unwrap();
        assert_eq!((made.uid(), made.gid()), (STRANGER, STRANGER), "{name}");
    }
    // In its own directory, root acts as root again.
    create_new(&root.path().join("own"), 0o600).unwrap();
    assert_eq!(fs::metadata(root.path().join("own")).unwrap().uid(), 0);
    let acting = AsOwner::of(&theirs.join("file")).unwrap();
    assert!(fs::write(root.path().join("own"), "x").is_err());
    drop(acting);
    fs::write(root.path().join("own"), "x").unwrap();
}

#[test]
fn a_strangers_link_gives_no_access_to_a_directory_of_roots() {
    let Some((root, theirs)) = of_a_stranger() else { return };
    let own = root.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("file"), "root's").unwrap();
    symlink(&own, theirs.join("way")).unwrap();
    let denied =
        |outcome: io::Result<()>| assert_eq!(outcome.unwrap_err().kind(), ErrorKind::PermissionDenied);
    let through = theirs.join("way");
    denied(create_new(&through.join("new"), 0o600).map(drop));
    denied(append(&through.join("file"), 0o600).map(drop));
    denied(open_or_create(&through.join("file"), 0o600).map(drop));
    denied(replace(&through.join("file"), b"theirs", 0o600));
    denied(rename(&through.join("file"), &through.join("gone")));
    denied(remove_if_there(&through.join("file")));
    denied(create_directory(&through.join("inner")));
    assert_eq!(fs::read(own.join("file")).unwrap(), b"root's");
    // A hard link to a file of root's, which a kernel may allow, and a link to a directory of
    // root's.
    fs::hard_link(own.join("file"), theirs.join("second")).unwrap();
    denied(append(&theirs.join("second"), 0o600).map(drop));
    fs::create_dir_all(own.join("inner/most")).unwrap();
    symlink(&own, theirs.join("tree")).unwrap();
    assert!(remove_directory(&theirs.join("tree/inner")).is_err());
    assert!(own.join("inner/most").is_dir());
    assert_eq!(fs::read(own.join("file")).unwrap(), b"root's");
}

#[test]
fn a_link_of_roots_is_followed_to_the_owner_of_its_target() {
    let Some((root, theirs)) = of_a_stranger() else { return };
    symlink(&theirs, root.path().join("moved")).unwrap();
    create_new(&root.path().join("moved/file"), 0o600).unwrap();
    assert_eq!(fs::metadata(theirs.join("file")).unwrap().uid(), STRANGER);
}
