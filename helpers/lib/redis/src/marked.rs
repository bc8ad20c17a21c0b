//! Reads a snapshot that ends with a mark that Redis announced. Holds back bytes that may be the
//! mark.

use std::io;
use std::ops::Range;

/// Bytes per read.
const BUFFER: usize = 256 << 10;

/// Passes bytes on, but holds back as many as the mark has, until they equal the mark.
#[derive(Debug)]
pub(super) struct MarkedTail {
    mark: Vec<u8>,
    buffer: Vec<u8>,
    held: Range<usize>,
}

impl MarkedTail {
    pub(super) fn new(mark: Vec<u8>) -> Self {
        Self { buffer: vec![0; BUFFER + mark.len()], mark, held: 0..0 }
    }

    /// Reads some bytes before the mark, or none at the mark. `fill` returns at least one more byte
    /// or an error.
    pub(super) fn read(
        &mut self,
        out: &mut [u8],
        mut fill: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let passing = self.held.len().saturating_sub(self.mark.len()).min(out.len());
            if passing > 0 {
                let end = self.held.start + passing;
                out[..passing].copy_from_slice(&self.buffer[self.held.start..end]);
                self.held.start = end;
                return Ok(passing);
            }
            if out.is_empty() || self.buffer[self.held.clone()] == self.mark {
                return Ok(0);
            }
            self.buffer.copy_within(self.held.clone(), 0);
            self.held = 0..self.held.len();
            self.held.end += fill(&mut self.buffer[self.held.end..])?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_mark_ends_the_snapshot_in_pieces_of_any_size(
            body in prop::collection::vec(any::<u8>(), 0..200),
            cut in 1usize..50,
            asked in 1usize..50,
        ) {
            let mark = b"0123456789abcdef0123456789abcdef01234567".to_vec();
            let sent = [body.clone(), mark.clone()].concat();
            let mut pieces = sent.chunks(cut);
            let mut tail = MarkedTail::new(mark);
            let (mut got, mut out) = (Vec::new(), vec![0; asked]);
            loop {
                let read = tail.read(&mut out, |free| {
                    let piece = pieces.next().ok_or(io::ErrorKind::UnexpectedEof)?;
                    free[..piece.len()].copy_from_slice(piece);
                    Ok(piece.len())
                }).unwrap();
                if read == 0 {
                    break;
                }
                got.extend_from_slice(&out[..read]);
            }
            prop_assert_eq!(pieces.next(), None);
            prop_assert_eq!(got, body);
        }
    }
}
