//! Any manifest is refused in one line, or survives a round trip, names no file outside of its set, and becomes statements in which
//! no name leaves its quotes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_backup_set::checksums::is_plain;
use nexus_backup_set::manifest::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let manifest = match Manifest::parse(bytes) {
        Ok(manifest) => manifest,
        Err(failure) => {
            assert!(!failure.to_string().contains('\n'));
            return;
        }
    };
    let again = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(Manifest::parse(&again[..]).unwrap(), manifest);
    for table in &manifest.tables {
        assert!(is_plain(&table.file));
        for statement in [table.copy_out(), table.copy_in()] {
            let outside = outside_quotes(&statement);
            assert!(!outside.contains(';') && !outside.contains("--"), "{statement}");
        }
    }
    let properties = &manifest.postgres.properties;
    let mut statements = properties.finishing_statements("nexus");
    statements.push(properties.create_statement("nexus"));
    for statement in statements {
        let outside = outside_quotes(&statement);
        assert!(!outside.contains(';') && !outside.contains("--"), "{statement}");
    }
    assert!(manifest.tables.iter().all(|table| table.rows <= manifest.rows()));
});

/// Returns the part of a statement outside of quotes.
fn outside_quotes(statement: &str) -> String {
    let mut inside = None;
    let mut outside = String::new();
    let mut characters = statement.chars().peekable();
    while let Some(character) = characters.next() {
        match (inside, character) {
            // E'…': a backslash escapes the next character.
            (Some((_, true)), '\\') => drop(characters.next()),
            (Some((quote, _)), _) if character == quote => {
                if characters.next_if_eq(&quote).is_none() {
                    inside = None;
                }
            }
            (Some(_), _) => {}
            (None, '\'' | '"') => inside = Some((character, character == '\'' && outside.ends_with('E'))),
            (None, _) => outside.push(character),
        }
    }
    assert!(inside.is_none(), "a quote stays open in {statement:?}");
    outside
}
