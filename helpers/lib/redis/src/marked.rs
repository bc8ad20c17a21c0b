//! A snapshot whose end is a mark that Redis named beforehand: what could be the mark is held back.

use std::io;
use std::ops::Range;

/// Bytes asked for at once.
const BUFFER: usize = 256 << 10;

/// Passes bytes on but holds back as many as the mark is long, until what is held is the mark.
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

    /// Reads some bytes before the mark, none when it has come; `fill` gives more, at least one or an error.
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
        fn the_mark_ends_the_snapshot_however_it_is_cut(
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
