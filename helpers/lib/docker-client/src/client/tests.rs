//! The client against a helper that behaves well, badly, or dies.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::protocol::{Frame, Section, Stand};

const DUMP: fn() -> Request = || Request::DumpRoles {};
const RESTORE: fn() -> Request = || Request::Restore {
    database: "nexus".to_owned(),
    section: Section::Data,
    server: Stand::Living,
    without_tablespaces: false,
};

/// A helper that answers one connection with `serve`, which gets what follows the request line.
fn helper(
    serve: impl FnOnce(BufReader<UnixStream>, UnixStream) + Send + 'static,
) -> (Client, tempfile::TempDir, thread::JoinHandle<()>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let thread = thread::spawn(move || {
        let (out, _) = listener.accept().unwrap();
        let mut input = BufReader::new(out.try_clone().unwrap());
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        serde_json::from_str::<Request>(&line).unwrap();
        serve(input, out);
    });
    (Client::at(path), dir, thread)
}

fn say(out: &mut UnixStream, frames: &[Frame]) {
    for frame in frames {
        frame.write_to(out).unwrap();
    }
}

#[test]
fn output_comes_whole_and_ends_well_only_after_status_0() {
    let (client, _dir, _) = helper(|_, mut out| {
        let chunks = [Frame::Stdout(b"one ".to_vec()), Frame::Stderr(b"warning\n".to_vec())];
        say(&mut out, &chunks);
        say(&mut out, &[Frame::Stdout(vec![b'x'; 200_000]), Frame::Exit(0)]);
    });
    let mut answer = client.ask(&DUMP()).unwrap();
    let mut got = Vec::new();
    assert_eq!(answer.read_to_end(&mut got).unwrap(), 200_004);
    assert_eq!(answer.stderr(), "warning");
    assert_eq!(answer.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
}

#[test]
fn a_frame_may_come_a_byte_at_a_time_with_long_pauses() {
    let (client, _dir, _) = helper(|_, mut out| {
        let mut wire = Vec::new();
        Frame::Stdout(b"abc".to_vec()).write_to(&mut wire).unwrap();
        Frame::Exit(0).write_to(&mut wire).unwrap();
        for (at, byte) in wire.into_iter().enumerate() {
            thread::sleep(Duration::from_millis(if at % 4 == 0 { 300 } else { 1 }));
            out.write_all(&[byte]).unwrap();
        }
    });
    assert_eq!(client.collect(&DUMP(), 10).unwrap(), b"abc");
}

#[test]
fn a_cut_connection_is_never_an_end() {
    for cut_after in 0..24 {
        let (client, _dir, thread) = helper(move |_, mut out| {
            let mut wire = Vec::new();
            Frame::Stdout(b"0123456789".to_vec()).write_to(&mut wire).unwrap();
            Frame::Exit(0).write_to(&mut wire).unwrap();
            assert_eq!(wire.len(), 24);
            out.write_all(&wire[..cut_after]).unwrap();
        });
        let mut answer = client.ask(&DUMP()).unwrap();
        let error = answer.read_to_end(&mut Vec::new()).unwrap_err();
        let failure = failure_of(error, || "unreached");
        assert_eq!(failure.exit(), Exit::Unavailable);
        assert!(failure.to_string().contains("cut before the command had ended"), "{failure}");
        assert!(answer.read(&mut [0; 8]).is_err(), "an error stays an error");
        thread.join().unwrap();
    }
}

#[test]
fn a_failed_command_says_its_status_and_its_error_line() {
    let (client, _dir, _) = helper(|_, mut out| {
        let said = "pg_dump: error: no such snapshot\nCommand was: SELECT 1;\n";
        let said = Frame::Stderr(said.as_bytes().to_vec());
        say(&mut out, &[Frame::Stdout(vec![1; 10]), said, Frame::Exit(1)]);
    });
    let failure = client.ask(&DUMP()).unwrap().finish().unwrap_err();
    assert_eq!(
        failure.to_string(),
        "dumping the roles (pg_dumpall): it ended with status 1: pg_dump: error: no such snapshot. \
         See: journalctl -u 'nexus-docker@*'"
    );
}

#[test]
fn a_refusal_says_why() {
    let (client, _dir, _) = helper(|_, mut out| say(&mut out, &[Frame::Refused("no".to_owned())]));
    let failure = client.collect(&DUMP(), 10).unwrap_err();
    assert!(failure.to_string().contains("nexus-docker refused: no"), "{failure}");
}

#[test]
fn rubbish_is_an_error() {
    let kinds: [&[u8]; 3] = [b"z\0\0\0\0", b"o\xff\xff\xff\xff", b"x\0\0\0\x01\0"];
    for wire in kinds {
        let (client, _dir, _) = helper(move |_, mut out| out.write_all(wire).unwrap());
        let failure = client.ask(&DUMP()).unwrap().finish().unwrap_err();
        assert_eq!(failure.exit(), Exit::Unavailable, "{failure}");
    }
}

#[test]
fn a_stop_is_noticed_while_nothing_comes_and_keeps_its_own_words() {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let (client, _dir, thread) = helper(move |mut input, _out| {
        thread::sleep(Duration::from_millis(100));
        flag.store(true, Ordering::Relaxed);
        assert_eq!(input.read(&mut [0]).unwrap(), 0, "the client hangs up");
    });
    let client = client.checking(move || {
        if stop.load(Ordering::Relaxed) { Err(Failure::new(Exit::TryLater, "stopped")) } else { Ok(()) }
    });
    let begun = Instant::now();
    let failure = client.ask(&DUMP()).unwrap().finish().unwrap_err();
    assert_eq!(failure.exit(), Exit::TryLater);
    assert!(begun.elapsed() < Duration::from_secs(2));
    thread.join().unwrap();
}

#[test]
fn a_tool_that_talks_much_while_it_is_fed_blocks_nobody() {
    let (client, _dir, _) = helper(|mut input, mut out| {
        let mut got = 0;
        let mut bytes = vec![0; 50_000];
        loop {
            say(&mut out, &[Frame::Stderr(vec![b'.'; 90_000]), Frame::Stdout(vec![b'o'; 90_000])]);
            match input.read(&mut bytes).unwrap() {
                0 => break,
                n => got += n,
            }
        }
        assert_eq!(got, 3_000_000);
        say(&mut out, &[Frame::Exit(0)]);
    });
    let output = client.send(&RESTORE(), &mut vec![7; 3_000_000].as_slice()).unwrap();
    assert_eq!(output, vec![b'o'; 64 << 10]);
}

#[test]
fn input_is_read_to_its_end_though_the_tool_needs_less() {
    let (client, _dir, _) = helper(|_, mut out| say(&mut out, &[Frame::Exit(0)]));
    let data = vec![7; 5_000_000];
    let mut input = data.as_slice();
    client.send(&RESTORE(), &mut input).unwrap();
    assert!(input.is_empty());
}

#[test]
fn input_that_fails_cuts_the_connection_and_its_error_is_told() {
    struct Damaged(u8);
    impl Read for Damaged {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 3 {
                return Err(io::Error::other(Failure::new(Exit::Data, "the archive is damaged")));
            }
            Ok(buf.len())
        }
    }
    let (client, _dir, thread) = helper(|mut input, mut out| {
        while input.read(&mut [0; 4096]).unwrap_or(0) > 0 {}
        let written = Frame::Exit(0).write_to(&mut out);
        assert!(written.is_err(), "it is a full hang-up, not a half-close");
    });
    let failure = client.send(&RESTORE(), &mut Damaged(0)).unwrap_err();
    assert_eq!(failure.exit(), Exit::Data);
    thread.join().unwrap();
}

#[test]
fn nobody_listening_is_unavailable_and_says_what_to_start() {
    let failure = Client::at("/nonexistent/docker.sock").collect(&DUMP(), 1).unwrap_err();
    assert_eq!(failure.exit(), Exit::Unavailable);
    assert!(failure.to_string().contains("systemctl start nexus-docker.socket"), "{failure}");
}

#[test]
fn more_than_the_limit_is_an_error() {
    let (client, _dir, _) = helper(|_, mut out| say(&mut out, &[Frame::Stdout(vec![0; 11]), Frame::Exit(0)]));
    assert!(client.collect(&DUMP(), 10).is_err());
}
