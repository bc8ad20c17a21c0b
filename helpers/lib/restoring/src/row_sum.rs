//! A digest of rows in any order: the sum of the hashes of the rows. docs/FORMAT.md defines the
//! hash.

use std::ops::AddAssign;

use nexus_backup_set::manifest::{CopyFormat, Table};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_digest::{Digest, Hasher};

/// The start of a binary COPY stream (PostgreSQL manual, COPY, "Binary Format"). Flags of 4 bytes
/// and a length of 4 bytes follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The size of the signature, flags and length.
const HEADER: usize = SIGNATURE.len() + 8;

/// The number of rows, and the sum of their hashes modulo 2^256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSum {
    /// The number of rows.
    pub rows: u64,
    /// The sum, with the lowest 64 bits first.
    sum: [u64; 4],
}

impl RowSum {
    fn add_row(&mut self, hash: Digest) {
        let (limbs, _) = hash.as_bytes().as_chunks::<8>();
        let mut sum = [0; 4];
        // The digest is a big-endian number.
        for (limb, bytes) in sum.iter_mut().zip(limbs.iter().rev()) {
            *limb = u64::from_be_bytes(*bytes);
        }
        *self += Self { rows: 1, sum };
    }
}

impl AddAssign for RowSum {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        let mut carry = false;
        for (limb, more) in self.sum.iter_mut().zip(other.sum) {
            let (with_more, first) = limb.overflowing_add(more);
            let (with_carry, second) = with_more.overflowing_add(u64::from(carry));
            *limb = with_carry;
            carry = first || second;
        }
    }
}

/// Sums the rows of a COPY stream, which arrives in pieces. It never holds a whole row or field.
#[derive(Debug)]
pub(super) struct Adder {
    format: CopyFormat,
    /// The place of each column of the stream in the sorted order of names.
    places: Vec<usize>,
    /// The digests of the row's fields, by place.
    fields: Vec<Digest>,
    /// The number of fields seen.
    seen: usize,
    field: Hasher,
    /// Whether a text stream is inside a row.
    is_in_row: bool,
    state: State,
    /// The first bytes of a number that is split between pieces.
    number: Vec<u8>,
    sum: RowSum,
}

/// The next part of a binary stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many bytes of the header.
    Header(usize),
    /// The number of fields of the next row.
    Count,
    /// The length of the next field.
    Length,
    /// This many bytes of a field.
    Field(usize),
    /// The end of the stream.
    End,
}

impl Adder {
    /// Starts a stream of `table`, whose columns may have a different order from its siblings'
    /// columns.
    pub(super) fn new(table: &Table) -> Self {
        let mut sorted: Vec<&String> = table.columns.iter().collect();
        sorted.sort();
        let place = |column: &String| sorted.binary_search(&column).unwrap_or_default();
        Self {
            format: table.format,
            places: table.columns.iter().map(place).collect(),
            fields: vec![Digest::of(b""); table.columns.len()],
            seen: 0,
            field: Hasher::default(),
            is_in_row: false,
            state: State::Header(HEADER),
            number: Vec::new(),
            sum: RowSum::default(),
        }
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// Data (65) when the stream is malformed or of another table.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<()> {
        match self.format {
            CopyFormat::Text => self.take_text(piece),
            CopyFormat::Binary => self.take_binary(piece),
        }
    }

    /// Returns the sum at the end of the stream.
    ///
    /// # Errors
    /// Data (65) when the stream ends in a row.
    pub(super) fn finish(self) -> Result<RowSum> {
        let is_whole = match self.format {
            CopyFormat::Text => !self.is_in_row,
            CopyFormat::Binary => self.state == State::End,
        };
        if is_whole { Ok(self.sum) } else { Err(malformed("the stream ends early")) }
    }

    /// In the text format, values contain no tab or line feed: COPY escapes both.
    fn take_text(&mut self, mut piece: &[u8]) -> Result<()> {
        while let Some(end) = piece.iter().position(|byte| matches!(byte, b'\t' | b'\n')) {
            self.field.update(&piece[..end]);
            self.end_field()?;
            self.is_in_row = piece[end] == b'\t';
            if !self.is_in_row {
                self.end_row()?;
            }
            piece = &piece[end + 1..];
        }
        self.is_in_row |= !piece.is_empty();
        self.field.update(piece);
        Ok(())
    }

    fn take_binary(&mut self, mut piece: &[u8]) -> Result<()> {
        while !piece.is_empty() {
            match self.state {
                State::Header(left) => {
                    let taken = left.min(piece.len());
                    piece = &piece[taken..];
                    self.state = if taken == left { State::Count } else { State::Header(left - taken) };
                }
                State::Count => {
                    let Some(number) = self.number::<2>(&mut piece) else { return Ok(()) };
                    match i16::from_be_bytes(number) {
                        -1 => self.state = State::End,
                        count if usize::try_from(count) == Ok(self.places.len()) => {
                            self.state = State::Length;
                            if self.places.is_empty() {
                                self.end_row()?;
                                self.state = State::Count;
                            }
                        }
                        count => return Err(malformed(&format!("a row has {count} fields"))),
                    }
                }
                State::Length => {
                    let Some(number) = self.number::<4>(&mut piece) else { return Ok(()) };
                    // Includes the length: NULL differs from the empty value.
                    self.field.update(&number);
                    self.state = State::Field(usize::try_from(i32::from_be_bytes(number)).unwrap_or(0));
                    self.end_binary_field()?;
                }
                State::Field(left) => {
                    let taken = left.min(piece.len());
                    self.field.update(&piece[..taken]);
                    piece = &piece[taken..];
                    self.state = State::Field(left - taken);
                    self.end_binary_field()?;
                }
                State::End => return Err(malformed("the stream continues after its end")),
            }
        }
        Ok(())
    }

    /// Returns the next `N` bytes once all are available.
    fn number<const N: usize>(&mut self, piece: &mut &[u8]) -> Option<[u8; N]> {
        let taken = (N - self.number.len()).min(piece.len());
        self.number.extend_from_slice(&piece[..taken]);
        *piece = &piece[taken..];
        let number = self.number.as_slice().try_into().ok()?;
        self.number.clear();
        Some(number)
    }

    fn end_binary_field(&mut self) -> Result<()> {
        if self.state != State::Field(0) {
            return Ok(());
        }
        self.end_field()?;
        self.state = State::Length;
        if self.seen == self.places.len() {
            self.end_row()?;
            self.state = State::Count;
        }
        Ok(())
    }

    fn end_field(&mut self) -> Result<()> {
        let digest = std::mem::take(&mut self.field).finish();
        if self.places.is_empty() {
            // A row without columns is an empty line.
            return Ok(());
        }
        let place = self.places.get(self.seen).ok_or_else(|| malformed("a row has too many fields"))?;
        self.fields[*place] = digest;
        self.seen += 1;
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        if self.seen != self.places.len() {
            return Err(malformed(&format!("a row has {} fields", self.seen)));
        }
        self.seen = 0;
        let mut row = Hasher::default();
        for field in &self.fields {
            row.update(field.as_bytes());
        }
        self.sum.add_row(row.finish());
        Ok(())
    }
}

fn malformed(why: &str) -> Failure {
    Failure::new(Exit::Data, "reading the rows of a partition").because(why.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Row = Vec<Option<Vec<u8>>>;

    fn table(columns: &[&str], format: CopyFormat) -> Table {
        Table {
            file: "data/0001.copy.zst.age".to_owned(),
            schema: "s".to_owned(),
            table: "t".to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            format,
            text_because: None,
            rows: 0,
            bytes: 0,
            sha256: Digest::of(b""),
        }
    }

    fn stream(rows: &[Row], format: CopyFormat) -> Vec<u8> {
        let mut stream = Vec::new();
        if format == CopyFormat::Binary {
            stream.extend_from_slice(SIGNATURE);
            stream.extend_from_slice(&[0; 8]);
        }
        for row in rows {
            match format {
                CopyFormat::Binary => {
                    stream.extend_from_slice(&i16::try_from(row.len()).unwrap().to_be_bytes());
                    for field in row {
                        let length = field.as_ref().map_or(-1, |field| i32::try_from(field.len()).unwrap());
                        stream.extend_from_slice(&length.to_be_bytes());
                        stream.extend_from_slice(field.as_deref().unwrap_or_default());
                    }
                }
                CopyFormat::Text => {
                    let fields: Vec<String> = row
                        .iter()
                        .map(|field| field.as_ref().map_or("\\N".to_owned(), |f| format!("{f:?}")))
                        .collect();
                    stream.extend_from_slice(fields.join("\t").as_bytes());
                    stream.push(b'\n');
                }
            }
        }
        if format == CopyFormat::Binary {
            stream.extend_from_slice(&[0xff, 0xff]);
        }
        stream
    }

    fn sum(columns: &[&str], rows: &[Row], format: CopyFormat, piece: usize) -> RowSum {
        let mut adder = Adder::new(&table(columns, format));
        for piece in stream(rows, format).chunks(piece) {
            adder.take(piece).unwrap();
        }
        adder.finish().unwrap()
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let field = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
        prop::collection::vec(prop::collection::vec(field, 3), 0..12)
    }

    proptest! {
        #[test]
        fn the_order_of_rows_and_columns_and_the_pieces_do_not_matter(mut rows in rows(), piece in 1_usize..50) {
            for format in [CopyFormat::Binary, CopyFormat::Text] {
                let whole = sum(&["a", "b", "c"], &rows, format, 1 << 20);
                prop_assert_eq!(whole.rows, rows.len() as u64);
                rows.reverse();
                prop_assert_eq!(sum(&["a", "b", "c"], &rows, format, piece), whole);
                let turned: Vec<Row> = rows.iter().map(|row| vec![row[2].clone(), row[0].clone(), row[1].clone()]).collect();
                prop_assert_eq!(sum(&["c", "a", "b"], &turned, format, piece), whole);
                // Two halves, as in two partitions.
                let (one, other) = rows.split_at(rows.len() / 2);
                let mut both = sum(&["a", "b", "c"], one, format, piece);
                both += sum(&["a", "b", "c"], other, format, piece);
                prop_assert_eq!(both, whole);
            }
        }

        #[test]
        fn every_changed_value_and_every_extra_row_is_detected(rows in rows(), at in any::<prop::sample::Index>(), column in 0_usize..3) {
            prop_assume!(!rows.is_empty());
            for format in [CopyFormat::Binary, CopyFormat::Text] {
                let whole = sum(&["a", "b", "c"], &rows, format, 7);
                let mut other = rows.clone();
                let field = &mut other[at.index(rows.len())][column];
                *field = match field.take() {
                    None => Some(Vec::new()),
                    Some(mut bytes) => { bytes.push(0); Some(bytes) }
                };
                prop_assert_ne!(sum(&["a", "b", "c"], &other, format, 7), whole);
                let mut more = rows.clone();
                more.push(rows[0].clone());
                prop_assert_ne!(sum(&["a", "b", "c"], &more, format, 7), whole);
            }
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for format in [CopyFormat::Binary, CopyFormat::Text] {
                let mut adder = Adder::new(&table(&["a", "b"], format));
                let _either = adder.take(&bytes).and_then(|()| adder.finish());
            }
        }
    }

    #[test]
    fn swapped_values_are_detected() {
        let one: Row = vec![Some(b"x".to_vec()), Some(b"y".to_vec())];
        let other: Row = vec![Some(b"y".to_vec()), Some(b"x".to_vec())];
        for format in [CopyFormat::Binary, CopyFormat::Text] {
            assert_ne!(
                sum(&["a", "b"], std::slice::from_ref(&one), format, 9),
                sum(&["a", "b"], std::slice::from_ref(&other), format, 9)
            );
        }
    }

    #[test]
    fn a_truncated_stream_is_refused() {
        let rows = [vec![Some(b"x".to_vec())]];
        for format in [CopyFormat::Binary, CopyFormat::Text] {
            let stream = stream(&rows, format);
            let mut adder = Adder::new(&table(&["a"], format));
            adder.take(&stream[..stream.len() - 1]).unwrap();
            assert!(adder.finish().is_err(), "{format:?}");
        }
    }
}
