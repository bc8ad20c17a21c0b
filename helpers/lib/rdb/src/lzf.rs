//! Decompresses LZF piece by piece. References reach back at most 8 KiB (LibLZF, lzf_d.c).

use std::io;

use crate::source::{Source, damaged};

/// How far back a reference may reach, in bytes.
const FARTHEST: usize = 1 << 13;

/// The longest output of one instruction: a reference of 9 + 255 bytes.
const LONGEST: usize = 264;

/// The size of the decompressed window in bytes, with the 8 KiB for references.
const WINDOW: usize = 4 * FARTHEST;

/// A compressed string during decompression.
pub(super) struct Lzf {
    packed_left: u64,
    window: Vec<u8>,
    given: usize,
}

impl Lzf {
    /// Creates one from its sizes in bytes.
    pub(super) fn new(packed: u64, unpacked: u64) -> Self {
        let size = usize::try_from(unpacked).unwrap_or(usize::MAX).min(WINDOW);
        Self { packed_left: packed, window: Vec::with_capacity(size), given: 0 }
    }

    /// Returns decompressed bytes that are not taken yet, at least one.
    pub(super) fn some(&mut self, source: &mut Source<'_>) -> io::Result<&[u8]> {
        if self.given == self.window.len() {
            self.unpack(source)?;
        }
        Ok(&self.window[self.given..])
    }

    pub(super) fn take(&mut self, count: usize) {
        self.given = self.window.len().min(self.given + count);
    }

    /// Returns whether all bytes are taken.
    pub(super) fn is_at_end(&self) -> bool {
        self.packed_left == 0 && self.given == self.window.len()
    }

    fn unpack(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        if self.window.len() > FARTHEST {
            self.window.drain(..self.window.len() - FARTHEST);
        }
        self.given = self.window.len();
        if self.packed_left == 0 {
            return Err(damaged("a compressed string is shorter than its declared length"));
        }
        while self.packed_left > 0 && self.window.len() + LONGEST <= WINDOW {
            self.step(source)?;
        }
        Ok(())
    }

    fn step(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        let control = self.packed_byte(source)?;
        if control < 32 {
            return self.literal(usize::from(control) + 1, source);
        }
        let mut length = usize::from(control >> 5) + 2;
        if length == 9 {
            length += usize::from(self.packed_byte(source)?);
        }
        let back = usize::from(control & 0x1f) << 8 | usize::from(self.packed_byte(source)?);
        let Some(start) = self.window.len().checked_sub(back + 1) else {
            return Err(damaged("a compressed string refers to data before its start"));
        };
        // Byte by byte: the reference may overlap its own output.
        for at in start..start + length {
            let byte = self.window[at];
            self.window.push(byte);
        }
        Ok(())
    }

    fn literal(&mut self, mut count: usize, source: &mut Source<'_>) -> io::Result<()> {
        self.take_packed(count as u64)?;
        while count > 0 {
            let some = source.some()?;
            let now = some.len().min(count);
            self.window.extend_from_slice(&some[..now]);
            source.take(now);
            count -= now;
        }
        Ok(())
    }

    fn packed_byte(&mut self, source: &mut Source<'_>) -> io::Result<u8> {
        self.take_packed(1)?;
        source.byte()
    }

    fn take_packed(&mut self, count: u64) -> io::Result<()> {
        let left = self.packed_left.checked_sub(count);
        self.packed_left = left.ok_or_else(|| damaged("a compressed string ends within an instruction"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(mut packed: &[u8], length: u64) -> io::Result<Vec<u8>> {
        let mut lzf = Lzf::new(packed.len() as u64, length);
        let mut source = Source::new(&mut packed);
        let mut unpacked = Vec::new();
        while (unpacked.len() as u64) < length {
            let some = lzf.some(&mut source)?;
            unpacked.extend_from_slice(some);
            let taken = some.len();
            lzf.take(taken);
        }
        assert!(lzf.is_at_end());
        Ok(unpacked)
    }

    #[test]
    fn literals_and_references_are_decompressed() {
        // "abc", then a reference of nine bytes, three back, that overlaps its own output.
        assert_eq!(unpack(b"\x02abc\xe0\x00\x02", 12).unwrap(), b"abcabcabcabc");
        // Each instruction repeats one byte 264 times, over many windows.
        let packed = [b"\x00x".to_vec(), b"\xe0\xff\x00".repeat(1000)].concat();
        assert_eq!(unpack(&packed, 264_001).unwrap(), vec![b'x'; 264_001]);
    }

    #[test]
    fn the_farthest_reference_crosses_the_edge_of_the_window() {
        let first: Vec<u8> = (0..8192_u32).flat_map(|n| [(n % 251) as u8]).collect();
        let mut packed: Vec<u8> = first.chunks(32).flat_map(|run| [&[31], run].concat()).collect();
        packed.extend(b"\xff\xff\xff".repeat(100));
        let unpacked = unpack(&packed, 8192 + 26_400).unwrap();
        assert!(unpacked.iter().zip(&unpacked[8192..]).all(|(before, after)| before == after));
    }

    #[test]
    fn damage_is_an_error() {
        for (packed, length) in
            [(&b"\x20\x00"[..], 3), (b"\x00a\x20\x01", 4), (b"\x05abc", 6), (b"\x00a\xe0", 10), (b"\x00a", 2)]
        {
            assert!(unpack(packed, length).is_err(), "{packed:?}");
        }
    }
}
