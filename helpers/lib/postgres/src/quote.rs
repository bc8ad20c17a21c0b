//! Quotes names and texts for SQL.

/// Returns a name as an SQL identifier, always quoted.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns schema and name, both quoted.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

/// Parses a text that [`qualified`] wrote into schema and name; `None` for any other text.
pub fn parse_qualified(text: &str) -> Option<(String, String)> {
    let (schema, rest) = parse_identifier(text)?;
    let (name, rest) = parse_identifier(rest.strip_prefix('.')?)?;
    rest.is_empty().then_some((schema, name))
}

/// Parses the quoted name at the start of `text`. Returns it and the rest.
pub fn parse_identifier(text: &str) -> Option<(String, &str)> {
    let (mut name, mut rest) = (String::new(), text.strip_prefix('"')?);
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => rest = more,
            None => return Some((name, after)),
        }
        name.push('"');
    }
}

/// Returns a name as an SQL identifier in ASCII, valid with any `client_encoding` (PostgreSQL
/// manual, "Identifiers and Key Words", Unicode escapes).
pub fn ascii_identifier(name: &str) -> String {
    if name.is_ascii() {
        return identifier(name);
    }
    format!("U&\"{}\"", ascii(name, '"'))
}

/// Doubles backslashes and `quote`, and escapes characters that are not ASCII.
fn ascii(text: &str, quote: char) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        if character == quote || character == '\\' {
            escaped.push(character);
        }
        if character.is_ascii() {
            escaped + character.encode_utf8(&mut [0; 4])
        } else {
            escaped + &format!("\\+{:06X}", u32::from(character))
        }
    })
}

/// Returns a text as an SQL literal in ASCII, valid with any `client_encoding`.
pub fn ascii_literal(text: &str) -> String {
    if text.is_ascii() { literal(text) } else { format!("U&'{}'", ascii(text, '\'')) }
}

/// Returns a text as an SQL literal, valid with any `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Quotes a value for a conninfo string (libpq, "Keyword/Value Connection Strings").
pub fn conninfo_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_two_quoted_names_are_a_qualified_name() {
        assert_eq!(parse_qualified("\"a.b\".\"c\"\"d\""), Some(("a.b".to_owned(), "c\"d".to_owned())));
        for other in [
            "",
            "a.b",
            "\"a\"",
            "\"a\".b",
            "\"a\".\"b",
            "\"a\".\"b\"; DROP DATABASE nexus",
            "\"a\" .\"b\"",
            "\"a\".\"b\".\"c\"",
            "pg_sequences, LATERAL (SELECT pg_read_file('/etc/passwd')) AS x",
            "\"a\".\"b\" AS \"c\"",
        ] {
            assert_eq!(parse_qualified(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn parse_qualified_accepts_exactly_what_qualified_writes(text in "[\".a;\\\\ñ]{0,12}", schema in ".{0,8}", name in ".{0,8}") {
            prop_assert_eq!(parse_qualified(&qualified(&schema, &name)), Some((schema, name)));
            if let Some((schema, name)) = parse_qualified(&text) {
                prop_assert_eq!(qualified(&schema, &name), text);
            }
        }
    }

    #[test]
    fn a_database_name_cannot_inject_connection_options() {
        assert_eq!(conninfo_value(r"a' host=x\"), r"'a\' host=x\\'");
    }

    #[test]
    fn quotes_are_doubled_and_backslashes_kept() {
        assert_eq!(qualified("a.b", "c\"d"), "\"a.b\".\"c\"\"d\"");
        assert_eq!(ascii_identifier("a\\\"b"), "\"a\\\"\"b\"");
        assert_eq!(ascii_identifier("a\\\"ñ🧠"), "U&\"a\\\\\"\"\\+0000F1\\+01F9E0\"");
        assert_eq!(ascii_literal("it's ñ\\"), "U&'it''s \\+0000F1\\\\'");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b'"), "E'a\\\\b'''");
    }
}
