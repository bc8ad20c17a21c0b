//! Names and texts as SQL wants them.

/// A name as an SQL identifier, always quoted.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Schema and name, both quoted.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

/// A name as an SQL identifier in ASCII alone: right in a session of whatever `client_encoding` (PostgreSQL manual,
/// "Identifiers and Key Words", Unicode escapes).
pub fn ascii_identifier(name: &str) -> String {
    if name.is_ascii() {
        return identifier(name);
    }
    format!("U&\"{}\"", ascii(name, '"'))
}

/// Backslashes and `quote` doubled, and what is not ASCII escaped.
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

/// A text as an SQL literal in ASCII alone, for scripts whose `client_encoding` is another's.
pub fn ascii_literal(text: &str) -> String {
    if text.is_ascii() { literal(text) } else { format!("U&'{}'", ascii(text, '\'')) }
}

/// A text as an SQL literal that is right whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

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
