//! Which events are hang-ups.

use super::*;
use std::net::Shutdown;

fn pair() -> (Peer, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Peer::new(ours), theirs)
}

#[test]
fn a_half_close_is_no_hang_up() {
    let (peer, theirs) = pair();
    assert!(!peer.has_hung_up());
    theirs.shutdown(Shutdown::Write).unwrap();
    assert!(!peer.has_hung_up(), "it still waits for the answer");
    let (silent, _other) = UnixStream::pair().unwrap();
    let soon = Some(Instant::now() + Duration::from_millis(50));
    assert_eq!(peer.wait(silent.as_fd(), soon), Wake::TimedOut);
}

#[test]
fn a_close_is_a_hang_up_with_or_without_unread_bytes() {
    for unread in [&b""[..], b"unread"] {
        let (peer, theirs) = pair();
        peer.send(&Frame::Output(Stream::Stdout, unread));
        drop(theirs);
        assert!(peer.has_hung_up());
    }
}

#[test]
fn a_close_after_a_half_close_is_a_hang_up() {
    let (peer, theirs) = pair();
    theirs.shutdown(Shutdown::Write).unwrap();
    drop(theirs);
    assert!(peer.has_hung_up());
}

#[test]
fn a_hang_up_ends_a_wait_at_once() {
    let (peer, theirs) = pair();
    let (silent, _other) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(theirs);
    });
    assert_eq!(peer.wait(silent.as_fd(), None), Wake::HungUp);
    thread.join().unwrap();
}

#[test]
fn a_line_leaves_what_follows_it() {
    let (peer, _theirs) = pair();
    let (mut from, mut to) = UnixStream::pair().unwrap();
    io::Write::write_all(&mut to, b"42\nrest").unwrap();
    assert_eq!(peer.line_of(&mut from, Duration::from_secs(1)), Ok("42".to_owned()));
    drop(to);
    assert_eq!(io::read_to_string(from).unwrap(), "rest");
}
