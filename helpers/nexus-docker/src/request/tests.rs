//! Which requests are valid.

use super::*;
use proptest::prelude::*;

fn dump(database: &str, snapshot: &str, table: &str) -> Vec<u8> {
    let exclude_table_data = vec![TableName { schema: "public".to_owned(), table: table.to_owned() }];
    let (database, snapshot) = (database.to_owned(), snapshot.to_owned());
    serde_json::to_vec(&Request::Dump { database, snapshot, exclude_table_data }).unwrap()
}

#[test]
fn a_valid_dump_is_accepted() {
    assert!(parse(&dump("nexus", "00000003-0000001B-1", "odd \"name\"; --help")).is_ok());
}

#[test]
fn malformed_snapshots_are_rejected() {
    let long = format!("00000003-0000001B-{}", "1".repeat(11));
    let ids = ["", "-", "00000003-0000001B", "00000003-0000001B-", "00000003-0000001b-1", "x", &long];
    let more =
        ["0003-0000001B-1", "00000003-0000001B-1-1", "00000003-0000001B-1 --help", "00000003-0000001B-1\n"];
    for id in ids.iter().chain(&more) {
        let error = parse(&dump("nexus", id, "t")).unwrap_err();
        assert!(error.0.starts_with("snapshot: "), "{id:?}: {error}");
    }
}

#[test]
fn names_that_are_empty_too_long_or_contain_nul_are_rejected() {
    for name in ["", "a\0b", &"x".repeat(64), &"é".repeat(32)] {
        assert!(parse(&dump(name, "00000003-0000001B-1", "t")).is_err(), "{name:?}");
        assert!(parse(&dump("nexus", "00000003-0000001B-1", name)).is_err(), "{name:?}");
    }
    assert!(parse(&dump(&"x".repeat(63), "00000003-0000001B-1", "t")).is_ok());
}

#[test]
fn requests_that_are_not_on_the_list_are_rejected() {
    let lines = [
        "",
        "{}",
        "[]",
        "null",
        r#"{"request":"run"}"#,
        r#"{"request":"containers","request":"restart"}"#,
        r#"{"request":"containers","all":true}"#,
        r#"{"request":"containers"} {"request":"containers"}"#,
        r#"{"request":"restart"}"#,
        r#"{"request":"restart","service":"caddy"}"#,
        r#"{"request":"restart","service":"redis nexus-postgres"}"#,
        r#"{"request":"restore","database":"nexus","section":"data","clean":true}"#,
        r#"{"request":"restore","database":"nexus","section":"all"}"#,
        r#"{"request":"dump-roles","database":"nexus"}"#,
    ];
    for line in lines {
        assert!(parse(line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn too_many_tables_are_rejected_with_their_number() {
    let table = r#"{"schema":"s","table":"t"},"#.repeat(MOST_TABLES + 1);
    let line = format!(
        r#"{{"request":"dump","database":"d","snapshot":"00000003-0000001B-1","exclude_table_data":[{}]}}"#,
        table.trim_end_matches(',')
    );
    assert_eq!(parse(line.as_bytes()).unwrap_err().0, "30001 tables to exclude; at most 30000 are allowed");
}

#[test]
fn the_bytes_after_the_line_stay_in_the_input() {
    let mut input: &[u8] = b"{\"request\":\"redis-restore\"}\nREDIS\n0011";
    assert_eq!(read(&mut input).unwrap(), Ok(Request::RedisRestore {}));
    assert_eq!(input, b"REDIS\n0011");
}

#[test]
fn a_line_without_an_end_is_rejected() {
    let mut short: &[u8] = br#"{"request":"containers"}"#;
    assert!(read(&mut short).unwrap().unwrap_err().0.contains("closed before the end"));
    let mut endless = io::BufReader::new(io::repeat(b' '));
    assert!(read(&mut endless).unwrap().unwrap_err().0.contains("longer than 4194304 bytes"));
}

proptest! {
    #[test]
    fn invalid_bytes_never_panic(line in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&line);
    }

    #[test]
    fn almost_valid_requests_never_panic(line in r#"\{"request":"(dump|restore|restart|x)"(,"[a-z]{1,9}":("[^"]{0,9}"|\[\]|1)){0,3}\}"#) {
        let _ = parse(line.as_bytes());
    }

    #[test]
    fn an_error_is_one_line(line in "\\PC{0,100}\n?\\PC{0,100}") {
        if let Err(error) = parse(line.as_bytes()) {
            prop_assert!(!error.0.contains('\n'));
        }
    }
}
