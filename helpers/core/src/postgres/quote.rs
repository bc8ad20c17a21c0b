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
    let escaped = name.replace('\\', "\\\\").replace('"', "\"\"");
    let escaped = escaped.chars().fold(String::new(), |text, character| {
        if character.is_ascii() {
            text + character.encode_utf8(&mut [0; 4])
        } else {
            text + &format!("\\+{:06X}", u32::from(character))
        }
    });
    format!("U&\"{escaped}\"")
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
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b'"), "E'a\\\\b'''");
    }
}
