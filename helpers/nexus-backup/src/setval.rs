//! What pg_dump's archive sets the sequences to, found in its stream: `SELECT pg_catalog.setval('public.s', 7, true);` is how
//! the entries of the kind SEQUENCE SET read (`pg_dump.c`, dumpSequenceData).

use std::collections::BTreeMap;

use nexus_backup_set::manifest::SequenceState;
use nexus_postgres::quote;

const BEGINNING: &[u8] = b"SELECT pg_catalog.setval('";

const END: &[u8] = b");";

/// The longest statement that is understood, in bytes: two names of 63 bytes, every one doubled twice, and a number.
const LONGEST: usize = 600;

/// Finds the statements in a stream that comes in pieces.
#[derive(Default)]
pub(crate) struct Setvals {
    /// What may be the beginning of a statement.
    rest: Vec<u8>,
    found: BTreeMap<String, Vec<SequenceState>>,
}

impl Setvals {
    /// Takes the next piece of the stream.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.rest);
        let mut left = &bytes[..];
        while let Some(at) = left.windows(BEGINNING.len()).position(|window| window == BEGINNING) {
            let after = &left[at + BEGINNING.len()..];
            let statement = &after[..after.len().min(LONGEST)];
            if let Some((name, state)) = parse(statement) {
                let states = self.found.entry(name).or_default();
                if !states.contains(&state) {
                    states.push(state);
                }
            } else if statement.len() < LONGEST && !statement.windows(END.len()).any(|window| window == END) {
                // It goes on in the next piece.
                self.rest = left[at..].to_vec();
                return;
            }
            left = after;
        }
        self.rest = left[left.len().saturating_sub(BEGINNING.len() - 1)..].to_vec();
    }

    /// The states by quoted qualified name.
    pub(crate) fn found(self) -> BTreeMap<String, Vec<SequenceState>> {
        self.found
    }
}

/// `public.s', 7, true);`
fn parse(statement: &[u8]) -> Option<(String, SequenceState)> {
    let end = statement.windows(END.len()).position(|window| window == END)?;
    let statement = std::str::from_utf8(&statement[..end]).ok()?;
    let (literal, values) = statement.rsplit_once("', ")?;
    let (last_value, is_called) = values.split_once(", ")?;
    let literal = literal.replace("''", "'");
    let (schema, rest) = identifier(&literal)?;
    let (name, rest) = identifier(rest.strip_prefix('.')?)?;
    let state = SequenceState { last_value: last_value.parse().ok()?, is_called: is_called.parse().ok()? };
    rest.is_empty().then(|| (quote::qualified(&schema, &name), state))
}

/// An identifier, quoted or not, and what follows.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '"' {
            if !quoted[at + 1..].starts_with('"') {
                return Some((name, &quoted[at + 1..]));
            }
            characters.next();
        }
        name.push(character);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(stream: &[u8], piece: usize) -> BTreeMap<String, Vec<SequenceState>> {
        let mut setvals = Setvals::default();
        stream.chunks(piece.max(1)).for_each(|piece| setvals.take(piece));
        setvals.found()
    }

    fn states(of: &[(i64, bool)]) -> Vec<SequenceState> {
        of.iter()
            .map(|(last_value, is_called)| SequenceState { last_value: *last_value, is_called: *is_called })
            .collect()
    }

    #[test]
    fn each_sequence_is_found_whatever_its_name() {
        let stream = b"\x00\x01SELECT pg_catalog.setval('public.s', 7, true);\n\x00SELECT pg_catalog.setval(\
            \x00SELECT pg_catalog.setval('\"A ''b\".\"c\"\".);d\", -3, false);\nSELECT pg_catalog.setval('public.s', 9, true);\n";
        let of_s = states(&[(7, true), (9, true)]);
        assert_eq!(found(stream, stream.len()), BTreeMap::from([("\"public\".\"s\"".to_owned(), of_s)]));
        let other = found(b"SELECT pg_catalog.setval('\"A ''b\".\"c\"\".d\"', -3, false);\n", 1000);
        assert_eq!(other, BTreeMap::from([("\"A 'b\".\"c\"\".d\"".to_owned(), states(&[(-3, false)]))]));
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(before in proptest::collection::vec(any::<u8>(), 0..700), piece in 1usize..900) {
            let mut stream = before;
            stream.extend_from_slice(b"SELECT pg_catalog.setval('public.s', 7, true);\n and more");
            stream.extend(std::iter::repeat_n(b'S', 700));
            prop_assert_eq!(found(&stream, piece), BTreeMap::from([("\"public\".\"s\"".to_owned(), states(&[(7, true)]))]));
        }
    }
}
