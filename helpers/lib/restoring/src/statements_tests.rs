use proptest::prelude::*;

use super::*;

fn texts(sql: &str) -> Vec<String> {
    split(sql).unwrap().into_iter().map(|statement| statement.text).collect()
}

#[test]
fn semicolons_inside_of_texts_names_and_comments_do_not_end_a_statement() {
    for sql in [
        "COMMENT ON ROLE a IS 'x;y''z;'",
        r"COMMENT ON ROLE a IS E'x\';y'",
        r"COMMENT ON ROLE a IS 'x\'",
        "CREATE ROLE \"a;b\"\"c\"",
        "DO $tag$ a; $$ b; $tag$",
        "DO $$ a; $$",
        "CREATE ROLE a -- not yet;\n LOGIN",
        "CREATE ROLE a /* nor /* here; */ ; */ LOGIN",
        "SELECT U&'\\0041;', u&\"b;\", b'1;', X'F;', n';'",
    ] {
        assert_eq!(texts(&format!("{sql};")), [sql]);
    }
    assert_eq!(texts("SELECT foo$bar$; SELECT $1;"), ["SELECT foo$bar$", "SELECT $1"]);
}

#[test]
fn commands_of_psql_are_left_out() {
    let sql =
        "-- dump\n\n\\restrict abc;\n\nSET client_encoding = 'UTF8';\nCREATE ROLE a;\n\\unrestrict abc\n";
    assert_eq!(texts(sql), ["SET client_encoding = 'UTF8'", "CREATE ROLE a"]);
}

#[test]
fn words_are_folded_and_quoted_names_are_not() {
    let statement = &split("Grant \"My \"\"Role\" TO größe$1 GRANTED by p;").unwrap()[0];
    let tokens: Vec<_> = statement.tokens.iter().map(|(_, token)| token.clone()).collect();
    let word = |text: &str| Token::Word(text.to_owned());
    let expected = [
        word("grant"),
        Token::Quoted("My \"Role".to_owned()),
        word("to"),
        word("größe$1"),
        word("granted"),
        word("by"),
        word("p"),
    ];
    assert_eq!(tokens, expected);
    assert!(statement.text[statement.tokens[4].0..].starts_with("GRANTED"));
}

#[test]
fn truncated_sql_is_refused() {
    for sql in [
        "CREATE ROLE a",
        "COMMENT ON ROLE a IS 'x",
        "CREATE ROLE \"a;",
        "DO $x$ a; $$",
        "/* a /* b */",
        "E'\\",
    ] {
        assert!(split(sql).is_err(), "{sql}");
    }
    assert_eq!(split(" ; ;\n-- nothing"), Ok(vec![]));
}

#[test]
fn a_script_is_split_before_its_entries() {
    let script = "--\n-- PostgreSQL database dump\n--\n\\restrict x\nSET a = 1;\n\n--\n-- Name: i; Type: INDEX\n--\nCREATE INDEX i;\n\n\
                  --\n-- Name: f; Type: FUNCTION\n--\nCREATE FUNCTION f() BEGIN ATOMIC SELECT '\n-- Name: x'; SELECT $$\n-- Name: y$$; END;\n";
    let pieces = entries(script).unwrap();
    assert_eq!(pieces.len(), 3);
    assert_eq!(pieces.concat(), script);
    assert!(pieces[1].starts_with("-- Name: i;") && pieces[2].ends_with("END;\n"));
    assert!(entries("SELECT 'x").is_err());
}

/// A name, text or comment as a server would write it.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_$]{0,8}",
        "\\PC{0,12}".prop_map(|text| nexus_postgres::quote::identifier(&text)),
        "\\PC{0,12}".prop_map(|text| nexus_postgres::quote::literal(&text)),
        "[a-z;' \"]{0,12}".prop_map(|text| format!("$q${text}$q$")),
        "[a-z;' \"]{0,12}".prop_map(|text| format!("/* {text} */ x")),
        "[a-z;' \"]{0,12}".prop_map(|text| format!("-- {text}\nx")),
    ]
}

proptest! {
    #[test]
    fn joined_statements_are_split_again(
        statements in prop::collection::vec(prop::collection::vec(piece(), 1..6), 0..5)
    ) {
        let statements: Vec<String> = statements.iter().map(|pieces| format!("x {}", pieces.join(" "))).collect();
        let joined = statements.iter().fold(String::new(), |joined, text| joined + text + ";\n");
        let got = split(&joined).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let got: Vec<_> = got.into_iter().map(|statement| statement.text).collect();
        prop_assert_eq!(got, statements);
    }

    #[test]
    fn rubbish_never_panics(text in "[\\PC\n]{0,60}") {
        let _either = split(&text);
    }
}
