//! Finds the values to which pg_dump's archive sets the sequences, in the archive's stream. An entry SEQUENCE SET has the
//! form `SELECT pg_catalog.setval('public.s', 7, true);` (`pg_dump.c`, dumpSequenceData).

use std::collections::BTreeMap;

use nexus_backup_set::manifest::SequenceState;
use nexus_postgres::quote;

const PREFIX: &[u8] = b"SELECT pg_catalog.setval('";

const SUFFIX: &[u8] = b");";

/// The longest statement to parse, in bytes: two names of 63 bytes with every byte doubled twice, and a number.
const LONGEST: usize = 600;

/// Finds the statements in a stream that arrives in pieces.
#[derive(Default)]
pub(crate) struct Setvals {
    /// Bytes that may be the beginning of a statement.
    rest: Vec<u8>,
    found: BTreeMap<String, Vec<SequenceState>>,
}

impl Setvals {
    /// Takes the next piece of the stream.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.rest);
        let mut left = &bytes[..];
        while let Some(at) = left.windows(PREFIX.len()).position(|window| window == PREFIX) {
            let after = &left[at + PREFIX.len()..];
            let statement = &after[..after.len().min(LONGEST)];
            if let Some((name, state)) = parse(statement) {
                let states = self.found.entry(name).or_default();
                if !states.contains(&state) {
                    states.push(state);
                }
            } else if statement.len() < LONGEST
                && !statement.windows(SUFFIX.len()).any(|window| window == SUFFIX)
            {
                // The statement continues in the next piece.
                self.rest = left[at..].to_vec();
                return;
            }
            left = after;
        }
        self.rest = left[left.len().saturating_sub(PREFIX.len() - 1)..].to_vec();
    }

    /// Returns the states by quoted qualified name.
    pub(crate) fn found(self) -> BTreeMap<String, Vec<SequenceState>> {
        self.found
    }
}

/// Parses `public.s', 7, true);`.
fn parse(statement: &[u8]) -> Option<(String, SequenceState)> {
    let end = statement.windows(SUFFIX.len()).position(|window| window == SUFFIX)?;
    let statement = std::str::from_utf8(&statement[..end]).ok()?;
    let (literal, values) = statement.rsplit_once("', ")?;
    let (last_value, is_called) = values.split_once(", ")?;
    let literal = literal.replace("''", "'");
    let (schema, rest) = identifier(&literal)?;
    let (name, rest) = identifier(rest.strip_prefix('.')?)?;
    let state = SequenceState { last_value: last_value.parse().ok()?, is_called: is_called.parse().ok()? };
    rest.is_empty().then(|| (quote::qualified(&schema, &name), state))
}

/// Parses an identifier, quoted or not. Returns it and the rest.
fn identifier(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        return quote::parse_identifier(text);
    }
    let end = text.find('.').unwrap_or(text.len());
    Some((text[..end].to_owned(), &text[end..]))
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
    fn sequences_with_any_name_are_found() {
        let stream = b"\x00\x01SELECT pg_catalog.setval('public.s', 7, true);\n\x00SELECT pg_catalog.setval(\
            \x00SELECT pg_catalog.setval('\"A ''b\".\"c\"\".);d\", -3, false);\nSELECT pg_catalog.setval('public.s', 9, true);\n";
        let of_s = states(&[(7, true), (9, true)]);
        assert_eq!(found(stream, stream.len()), BTreeMap::from([("\"public\".\"s\"".to_owned(), of_s)]));
        let other = found(b"SELECT pg_catalog.setval('\"A ''b\".\"c\"\".d\"', -3, false);\n", 1000);
        assert_eq!(other, BTreeMap::from([("\"A 'b\".\"c\"\".d\"".to_owned(), states(&[(-3, false)]))]));
    }

    proptest! {
        #[test]
        fn statements_are_found_however_the_stream_is_cut(before in proptest::collection::vec(any::<u8>(), 0..700), piece in 1usize..900) {
            let mut stream = before;
            stream.extend_from_slice(b"SELECT pg_catalog.setval('public.s', 7, true);\n and more");
            stream.extend(std::iter::repeat_n(b'S', 700));
            prop_assert_eq!(found(&stream, piece), BTreeMap::from([("\"public\".\"s\"".to_owned(), states(&[(7, true)]))]));
        }
    }
}
