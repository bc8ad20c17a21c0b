//! Parses a page of a table's file (PostgreSQL manual, "Database Page Layout"), in the machine's byte order.

use std::ops::Range;

/// The bytes of a page's header.
const HEADER: usize = 24;

/// The bytes of a line pointer.
pub(super) const POINTER: usize = 4;

/// The most bytes of a row in its page: the server moves parts of longer rows to TOAST (TOAST_TUPLE_THRESHOLD), in chunks
/// of this length.
pub(super) const LONGEST: usize = 2032;

/// The free space of a page without rows, less one line pointer.
pub(super) const LARGEST_SPACE: usize = 8192 - HEADER - POINTER;

/// The bytes of filler or zeros in a row that cannot be chance.
const RUN: usize = 16;

/// The characters of filler. There is no letter or digit, so a full-text index ignores it.
pub(super) const ALPHABET: &[u8; 25] = b" !#$%()*+,-.:;=?[]^_`{|}~";

/// Returns the free space of `page`; `None` if the page is new or only half written.
pub(super) fn free_space(page: &[u8]) -> Option<Range<usize>> {
    let number = |at: usize| Some(usize::from(u16::from_ne_bytes(page.get(at..at + 2)?.try_into().ok()?)));
    let (lower, upper, special) = (number(12)?, number(14)?, number(16)?);
    (HEADER <= lower && lower <= upper && upper <= special && special <= page.len()).then_some(lower..upper)
}

/// Returns the numbers of the rows in `page`; some may be dead.
pub(super) fn rows(page: &[u8]) -> Vec<u16> {
    let Some(space) = free_space(page) else { return Vec::new() };
    let pointers = page[HEADER..space.start].chunks_exact(POINTER);
    let is_row = |pointer: &[u8]| {
        let pointer = pointer.try_into().map_or(0, u32::from_ne_bytes);
        // The flags LP_NORMAL, between 15 bits of offset and 15 of length.
        pointer >> 15 & 3 == 1
    };
    (1..).zip(pointers).filter(|(_, pointer)| is_row(pointer)).map(|(number, _)| number).collect()
}

/// Returns the length of the longest stretch of `bytes` that is neither zeros nor filler.
pub(super) fn longest_trace(bytes: &[u8]) -> usize {
    let (mut longest, mut begin, mut run) = (0, 0, 0);
    for (at, byte) in bytes.iter().enumerate() {
        run = if *byte == 0 || ALPHABET.contains(byte) { run + 1 } else { 0 };
        if run >= RUN {
            longest = longest.max((at + 1 - run).saturating_sub(begin));
            begin = at + 1;
        }
    }
    longest.max(bytes.len() - begin)
}

/// Returns the lengths of rows that together take up `space` bytes. They are equal except for rounding.
pub(super) fn lengths(space: usize, shortest: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut left = space;
    let mut rows = space.div_ceil(LONGEST + POINTER);
    while rows > 0 && left >= shortest + POINTER {
        let length = (left / rows).saturating_sub(POINTER).min(LONGEST) / 8 * 8;
        // If two rows would be too short, one must do.
        let length = if length < shortest { (left - POINTER).min(LONGEST) / 8 * 8 } else { length };
        lengths.push(length);
        left -= length + POINTER;
        rows -= 1;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with an unused pointer, a row of 16 bytes, and `space` between.
    fn page(space: &[u8]) -> Vec<u8> {
        let mut page = vec![0; HEADER];
        let lower = HEADER + 2 * POINTER;
        let upper = lower + space.len();
        for (at, number) in [(12, lower), (14, upper), (16, upper + 16)] {
            page[at..at + 2].copy_from_slice(&u16::try_from(number).unwrap_or(0).to_ne_bytes());
        }
        page.extend_from_slice(&0_u32.to_ne_bytes());
        page.extend_from_slice(&(1_u32 << 15 | 16 << 17).to_ne_bytes());
        page.extend_from_slice(space);
        page.extend_from_slice(&[7; 16]);
        page
    }

    #[test]
    fn free_space_and_rows_are_found_and_malformed_pages_are_skipped() {
        let page = page(b"something");
        assert_eq!(free_space(&page).map(|space| &page[space]), Some(b"something".as_slice()));
        assert_eq!(rows(&page), [2]);
        for malformed in [vec![], vec![0; 8192], vec![255; 8192], page[..20].to_vec()] {
            assert_eq!((free_space(&malformed), rows(&malformed)), (None, vec![]));
        }
    }

    #[test]
    fn a_trace_is_neither_filler_nor_zeros() {
        let filler = " !#$%()*+,;=?[]^".repeat(4);
        assert_eq!(longest_trace(&[0; 100]), 0);
        assert_eq!(longest_trace(filler.as_bytes()), 0);
        assert_eq!(longest_trace(b"a sentence"), 10);
        assert_eq!(longest_trace(format!("{filler}a sentence{filler}").as_bytes()), 10);
        assert_eq!(longest_trace(format!("a sentence{filler}two words").as_bytes()), 10);
    }

    #[test]
    fn lengths_take_up_the_space() {
        for space in 100..8192 {
            let lengths = lengths(space, 80);
            let used: usize = lengths.iter().map(|length| length + POINTER).sum();
            assert!(used <= space && space - used < 48, "{space}: {lengths:?}");
            assert!(lengths.iter().all(|length| (80..=LONGEST).contains(length)), "{space}: {lengths:?}");
        }
        assert!(lengths(60, 80).is_empty());
    }
}
