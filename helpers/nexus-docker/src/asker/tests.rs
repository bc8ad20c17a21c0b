//! How a hang-up shows, and how it does not.

use super::*;
use std::net::Shutdown;

fn pair() -> (Asker, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Asker::new(ours), theirs)
}

#[test]
fn a_half_close_is_no_hang_up() {
    let (asker, theirs) = pair();
    assert!(!asker.is_gone());
    theirs.shutdown(Shutdown::Write).unwrap();
    assert!(!asker.is_gone(), "it still waits for the answer");
    let (silent, _other) = UnixStream::pair().unwrap();
    let soon = Some(Instant::now() + Duration::from_millis(50));
    assert_eq!(asker.wait(silent.as_fd(), soon), Wake::TooLate);
}

#[test]
fn a_close_is_a_hang_up_with_or_without_unread_bytes() {
    for unread in [&b""[..], b"unread"] {
        let (asker, theirs) = pair();
        asker.frame(b'o', unread).unwrap();
        drop(theirs);
        assert!(asker.is_gone());
    }
}

#[test]
fn a_close_after_a_half_close_is_a_hang_up() {
    let (asker, theirs) = pair();
    theirs.shutdown(Shutdown::Write).unwrap();
    drop(theirs);
    assert!(asker.is_gone());
}

#[test]
fn a_hang_up_ends_a_wait_at_once() {
    let (asker, theirs) = pair();
    let (silent, _other) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(theirs);
    });
    assert_eq!(asker.wait(silent.as_fd(), None), Wake::HungUp);
    thread.join().unwrap();
}

#[test]
fn a_line_leaves_what_follows_it() {
    let (asker, _theirs) = pair();
    let (mut from, mut to) = UnixStream::pair().unwrap();
    io::Write::write_all(&mut to, b"42\nrest").unwrap();
    assert_eq!(asker.line_of(&mut from, Duration::from_secs(1)), Ok("42".to_owned()));
    drop(to);
    assert_eq!(io::read_to_string(from).unwrap(), "rest");
}
