//! Round trips of frames, and input that is not a frame.

use std::iter;

use proptest::prelude::*;

use super::*;

/// An answer: standard output, standard error, and the last frame.
type Answer = (Vec<u8>, Vec<u8>, Option<Frame<'static>>);

/// Reads an answer into a buffer of `size` bytes; stops at its last frame or at an error.
fn read(mut wire: impl Read, size: usize) -> io::Result<Answer> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (mut reader, mut buffer) = (FrameReader::default(), vec![0; size]);
    loop {
        match reader.next(&mut wire, &mut buffer) {
            Ok(Frame::Output(Stream::Stdout, bytes)) => stdout.extend(bytes),
            Ok(Frame::Output(Stream::Stderr, bytes)) => stderr.extend(bytes),
            Ok(Frame::Exit(status)) => return Ok((stdout, stderr, Some(Frame::Exit(status)))),
            Ok(Frame::Refused(reason)) => return Ok((stdout, stderr, Some(Frame::Refused(reason)))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok((stdout, stderr, None)),
            Err(error) => return Err(error),
        }
    }
}

/// Returns one byte at a time, and `WouldBlock` before each.
struct Dribble<'a> {
    bytes: &'a [u8],
    blocks: bool,
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.blocks = !self.blocks;
        if self.blocks {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let want = buffer.len().min(1);
        self.bytes.read(&mut buffer[..want])
    }
}

fn last() -> impl Strategy<Value = Frame<'static>> {
    prop_oneof![any::<i32>().prop_map(Frame::Exit), ".{0,80}".prop_map(Frame::Refused)]
}

proptest! {
    #[test]
    fn an_answer_is_read_as_it_was_written(
        output in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..8),
        last in last(),
        size in 1_usize..400,
    ) {
        let stream = |is_stdout| if is_stdout { Stream::Stdout } else { Stream::Stderr };
        let frames = output.iter().map(|(is_stdout, bytes)| Frame::Output(stream(*is_stdout), bytes));
        let mut wire = Vec::new();
        for frame in frames.chain(iter::once(last.clone())) {
            frame.write_to(&mut wire)?;
        }
        let all = |wanted| output.iter().filter(move |(is_stdout, _)| *is_stdout == wanted).flat_map(|(_, bytes)| bytes.clone());
        let answer = (all(true).collect(), all(false).collect(), Some(last));
        prop_assert_eq!(&read(wire.as_slice(), size)?, &answer);
        prop_assert_eq!(&read(Dribble { bytes: &wire, blocks: false }, size)?, &answer);
        prop_assert_eq!(read(&wire[..wire.len() - 1], size)?.2, None, "a cut answer has no last frame");
    }

    #[test]
    fn invalid_input_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..9) {
        let _ = read(bytes.as_slice(), size);
    }
}

#[test]
fn the_wire_form_is_that_of_earlier_versions() {
    let frames = [
        Frame::Output(Stream::Stdout, b"a"),
        Frame::Output(Stream::Stderr, b"bc"),
        Frame::Exit(1),
        Frame::Refused("no".to_owned()),
    ];
    let mut wire = Vec::new();
    for frame in frames {
        frame.write_to(&mut wire).unwrap();
    }
    assert_eq!(wire, b"o\0\0\0\x01ae\0\0\0\x02bcx\0\0\0\x04\0\0\0\x01r\0\0\0\x02no");
}
