//! Tests the client with a helper that behaves, misbehaves, or dies.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::frame::{Frame, Stream};
use crate::protocol::{Section, Server};

const DUMP: fn() -> Request = || Request::DumpRoles {};
const RESTORE: fn() -> Request = || Request::Restore {
    database: "nexus".to_owned(),
    section: Section::Data,
    server: Server::Live,
    without_tablespaces: false,
};

/// Starts a helper that answers one connection with `serve`, which gets the input after the request
/// line.
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
    (Client::at(&path), dir, thread)
}

fn answer(out: &mut UnixStream, frames: &[Frame<'_>]) {
    for frame in frames {
        frame.write_to(out).unwrap();
    }
}

#[test]
fn output_is_complete_and_ends_only_after_status_0() {
    let (client, _dir, _) = helper(|_, mut out| {
        let chunks = [Frame::Output(Stream::Stdout, b"one "), Frame::Output(Stream::Stderr, b"warning\n")];
        answer(&mut out, &chunks);
        answer(&mut out, &[Frame::Output(Stream::Stdout, &vec![b'x'; 200_000]), Frame::Exit(0)]);
    });
    let mut output = client.ask(&DUMP()).unwrap();
    let mut got = Vec::new();
    assert_eq!(output.read_to_end(&mut got).unwrap(), 200_004);
    assert_eq!(output.stderr(), "warning");
    assert_eq!(output.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
}

#[test]
fn frames_may_arrive_byte_by_byte_with_long_pauses() {
    let (client, _dir, _) = helper(|_, mut out| {
        let mut wire = Vec::new();
        Frame::Output(Stream::Stdout, b"abc").write_to(&mut wire).unwrap();
        Frame::Exit(0).write_to(&mut wire).unwrap();
        for (at, byte) in wire.into_iter().enumerate() {
            thread::sleep(Duration::from_millis(if at % 4 == 0 { 300 } else { 1 }));
            out.write_all(&[byte]).unwrap();
        }
    });
    assert_eq!(client.collect(&DUMP(), 10).unwrap(), b"abc");
}

#[test]
fn a_closed_connection_is_never_a_successful_end() {
    for cut_after in 0..24 {
        let (client, _dir, thread) = helper(move |_, mut out| {
            let mut wire = Vec::new();
            Frame::Output(Stream::Stdout, b"0123456789").write_to(&mut wire).unwrap();
            Frame::Exit(0).write_to(&mut wire).unwrap();
            assert_eq!(wire.len(), 24);
            out.write_all(&wire[..cut_after]).unwrap();
        });
        let mut output = client.ask(&DUMP()).unwrap();
        let error = output.read_to_end(&mut Vec::new()).unwrap_err();
        let failure = Err::<(), _>(error).or_fail_io(|| "unreached").unwrap_err();
        assert_eq!(failure.exit(), Exit::Unavailable);
        assert!(failure.to_string().contains("closed before the command exited"), "{failure}");
        assert!(output.read(&mut [0; 8]).is_err(), "an error stays an error");
        thread.join().unwrap();
    }
}

#[test]
fn a_failed_command_reports_its_status_and_its_error_line() {
    let (client, _dir, _) = helper(|_, mut out| {
        let said = "pg_dump: error: no such snapshot\nCommand was: SELECT 1;\n";
        let said = Frame::Output(Stream::Stderr, said.as_bytes());
        answer(&mut out, &[Frame::Output(Stream::Stdout, &[1; 10]), said, Frame::Exit(1)]);
    });
    let failure = client.ask(&DUMP()).unwrap().finish().unwrap_err();
    assert_eq!(
        failure.to_string(),
        "dumping the roles (pg_dumpall): exited with status 1: pg_dump: error: no such snapshot. \
         See: journalctl -u 'nexus-docker@*'"
    );
}

#[test]
fn a_refusal_reports_its_reason() {
    let (client, _dir, _) = helper(|_, mut out| answer(&mut out, &[Frame::Refused("no".to_owned())]));
    let failure = client.collect(&DUMP(), 10).unwrap_err();
    assert!(failure.to_string().contains("nexus-docker refused: no"), "{failure}");
}

#[test]
fn an_invalid_frame_is_an_error() {
    let kinds: [&[u8]; 3] = [b"z\0\0\0\0", b"o\xff\xff\xff\xff", b"x\0\0\0\x01\0"];
    for wire in kinds {
        let (client, _dir, _) = helper(move |_, mut out| out.write_all(wire).unwrap());
        let failure = client.ask(&DUMP()).unwrap().finish().unwrap_err();
        assert_eq!(failure.exit(), Exit::Unavailable, "{failure}");
    }
}

#[test]
fn a_stop_ends_an_idle_request_with_its_own_failure() {
    let stop = Stop::default();
    let flag = stop.clone();
    let (client, _dir, thread) = helper(move |mut input, _out| {
        thread::sleep(Duration::from_millis(100));
        flag.because_another_failed();
        assert_eq!(input.read(&mut [0]).unwrap(), 0, "the client hangs up");
    });
    let begun = Instant::now();
    let failure = client.stopping(&stop).ask(&DUMP()).unwrap().finish().unwrap_err();
    assert_eq!(failure.exit(), Exit::TryLater);
    assert!(begun.elapsed() < Duration::from_secs(2));
    thread.join().unwrap();
}

#[test]
fn a_tool_with_much_output_and_much_input_does_not_deadlock() {
    let (client, _dir, _) = helper(|mut input, mut out| {
        let mut got = 0;
        let mut bytes = vec![0; 50_000];
        loop {
            answer(
                &mut out,
                &[
                    Frame::Output(Stream::Stderr, &vec![b'.'; 90_000]),
                    Frame::Output(Stream::Stdout, &vec![b'o'; 90_000]),
                ],
            );
            match input.read(&mut bytes).unwrap() {
                0 => break,
                n => got += n,
            }
        }
        assert_eq!(got, 3_000_000);
        answer(&mut out, &[Frame::Exit(0)]);
    });
    let first = client.send(&RESTORE(), &mut vec![7; 3_000_000].as_slice()).unwrap();
    assert_eq!(first, vec![b'o'; 64 << 10]);
}

#[test]
fn input_is_read_to_its_end_even_if_the_tool_needs_less() {
    let (client, _dir, _) = helper(|_, mut out| answer(&mut out, &[Frame::Exit(0)]));
    let data = vec![7; 5_000_000];
    let mut input = data.as_slice();
    client.send(&RESTORE(), &mut input).unwrap();
    assert!(input.is_empty());
}

#[test]
fn an_input_error_closes_the_connection_and_is_returned() {
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
        assert!(written.is_err(), "the connection is closed, not only its writing half");
    });
    let failure = client.send(&RESTORE(), &mut Damaged(0)).unwrap_err();
    assert_eq!(failure.exit(), Exit::Data);
    thread.join().unwrap();
}

#[test]
fn without_a_listener_the_failure_names_the_unit_to_start() {
    let failure = Client::at(Path::new("/nonexistent/docker.sock")).collect(&DUMP(), 1).unwrap_err();
    assert_eq!(failure.exit(), Exit::Unavailable);
    assert!(failure.to_string().contains("systemctl start nexus-docker.socket"), "{failure}");
}

#[test]
fn output_over_the_limit_is_an_error() {
    let (client, _dir, _) =
        helper(|_, mut out| answer(&mut out, &[Frame::Output(Stream::Stdout, &[0; 11]), Frame::Exit(0)]));
    assert!(client.collect(&DUMP(), 10).is_err());
}
