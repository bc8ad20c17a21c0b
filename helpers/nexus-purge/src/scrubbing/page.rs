//! A page of a table as it is in the file (PostgreSQL manual, "Database Page Layout"), in the machine's own byte order.

use std::ops::Range;

/// Bytes of a page's header.
const HEADER: usize = 24;

/// Bytes of a line pointer.
pub(super) const POINTER: usize = 4;

/// The most bytes of a row that stays in its page: longer ones are moved out of the table (TOAST_TUPLE_THRESHOLD), and a
/// piece of one that was has this length.
pub(super) const LONGEST: usize = 2032;

/// Room of a page without rows, with some to spare.
pub(super) const LARGEST_ROOM: usize = 8192 - HEADER - POINTER;

/// So many bytes of filler or zeros one after the other are no accident.
const RUN: usize = 16;

/// What filler is made of: no letter and no digit, so that an index of words takes no notice of it.
pub(super) const ALPHABET: &[u8; 25] = b" !#$%()*+,-.:;=?[]^_`{|}~";

/// The free room of `page`; nothing for one that is new, or that is just being written.
pub(super) fn room(page: &[u8]) -> Option<Range<usize>> {
    let number = |at: usize| Some(usize::from(u16::from_ne_bytes(page.get(at..at + 2)?.try_into().ok()?)));
    let (lower, upper, special) = (number(12)?, number(14)?, number(16)?);
    (HEADER <= lower && lower <= upper && upper <= special && special <= page.len()).then_some(lower..upper)
}

/// Numbers of the rows in `page`, some of which may be seen by nobody any more.
pub(super) fn rows(page: &[u8]) -> Vec<u16> {
    let Some(room) = room(page) else { return Vec::new() };
    let pointers = page[HEADER..room.start].chunks_exact(POINTER);
    let is_row = |pointer: &[u8]| {
        let pointer = pointer.try_into().map_or(0, u32::from_ne_bytes);
        // LP_NORMAL, between 15 bits of offset and 15 of length.
        pointer >> 15 & 3 == 1
    };
    (1..).zip(pointers).filter(|(_, pointer)| is_row(pointer)).map(|(number, _)| number).collect()
}

/// Length of the longest stretch of `bytes` that is neither zeros nor filler.
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

/// Lengths of rows that together take up `room` bytes, each as long as the others but for rounding.
pub(super) fn lengths(room: usize, shortest: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut left = room;
    let mut rows = room.div_ceil(LONGEST + POINTER);
    while rows > 0 && left >= shortest + POINTER {
        let length = (left / rows).saturating_sub(POINTER).min(LONGEST) / 8 * 8;
        // Two short ones do not fit where one that is not full does.
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

    /// A page with one row of 16 bytes, one that is gone, and `room` between.
    fn page(room: &[u8]) -> Vec<u8> {
        let mut page = vec![0; HEADER];
        let lower = HEADER + 2 * POINTER;
        let upper = lower + room.len();
        for (at, number) in [(12, lower), (14, upper), (16, upper + 16)] {
            page[at..at + 2].copy_from_slice(&u16::try_from(number).unwrap_or(0).to_ne_bytes());
        }
        page.extend_from_slice(&0_u32.to_ne_bytes());
        page.extend_from_slice(&(1_u32 << 15 | 16 << 17).to_ne_bytes());
        page.extend_from_slice(room);
        page.extend_from_slice(&[7; 16]);
        page
    }

    #[test]
    fn room_and_rows_are_found_and_rubbish_is_not_read() {
        let page = page(b"something");
        assert_eq!(room(&page).map(|room| &page[room]), Some(b"something".as_slice()));
        assert_eq!(rows(&page), [2]);
        for wrong in [vec![], vec![0; 8192], vec![255; 8192], page[..20].to_vec()] {
            assert_eq!((room(&wrong), rows(&wrong)), (None, vec![]));
        }
    }

    #[test]
    fn a_trace_is_what_is_no_filler() {
        let filler = " !#$%()*+,;=?[]^".repeat(4);
        assert_eq!(longest_trace(&[0; 100]), 0);
        assert_eq!(longest_trace(filler.as_bytes()), 0);
        assert_eq!(longest_trace(b"a sentence"), 10);
        assert_eq!(longest_trace(format!("{filler}a sentence{filler}").as_bytes()), 10);
        assert_eq!(longest_trace(format!("a sentence{filler}two words").as_bytes()), 10);
    }

    #[test]
    fn lengths_take_up_the_room() {
        for room in 100..8192 {
            let lengths = lengths(room, 80);
            let taken: usize = lengths.iter().map(|length| length + POINTER).sum();
            assert!(taken <= room && room - taken < 48, "{room}: {lengths:?}");
            assert!(lengths.iter().all(|length| (80..=LONGEST).contains(length)), "{room}: {lengths:?}");
        }
        assert!(lengths(60, 80).is_empty());
    }
}
