//! Reading one request and checking every field of it.

use std::fmt;
use std::io::{self, BufRead, Read};

use nexus_core::docker::protocol::{LONGEST_REQUEST, Request, TableName};

/// The longest name `PostgreSQL` keeps, in bytes (`NAMEDATALEN` - 1).
const LONGEST_NAME: usize = 63;

/// How many tables one dump may leave out. Their names must fit on a command line besides (see
/// [`command`](crate::command)).
pub const MOST_TABLES: usize = 30_000;

/// Why a request is not carried out: one line for the asker.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(why.into()))
}

/// Reads the request line and checks it. What follows the line stays in `input`.
///
/// # Errors
/// The outer error is the connection's; the inner one is about what came over it.
pub fn read(input: &mut impl BufRead) -> io::Result<Result<Request, Refusal>> {
    let mut line = Vec::new();
    input.take(LONGEST_REQUEST as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(parse(&line)),
        _ if line.len() + 1 >= LONGEST_REQUEST => {
            Ok(refuse(format!("the request line is longer than {LONGEST_REQUEST} bytes")))
        }
        _ => Ok(refuse("the connection ended before the request line did")),
    }
}

/// The request that `line` (without its newline) is.
///
/// # Errors
/// When it is none of the closed list, or a field holds what it may not.
pub fn parse(line: &[u8]) -> Result<Request, Refusal> {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            // The parser repeats names from the line in its text; one short line of it is enough.
            let text: String = error.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
            return refuse(format!("this is no request on the list: {text}"));
        }
    };
    match &request {
        Request::Dump { database, snapshot, exclude_table_data } => {
            check_name("database", database)?;
            check_snapshot(snapshot)?;
            check_tables(exclude_table_data)?;
        }
        Request::Restore { database, section: _ } => check_name("database", database)?,
        Request::DumpRoles {}
        | Request::RedisRestore {}
        | Request::Containers {}
        | Request::Restart { service: _ } => {}
    }
    Ok(request)
}

fn check_tables(tables: &[TableName]) -> Result<(), Refusal> {
    if tables.len() > MOST_TABLES {
        return refuse(format!("{} tables to leave out; at most {MOST_TABLES} are taken", tables.len()));
    }
    for TableName { schema, table } in tables {
        check_name("schema", schema)?;
        check_name("table", table)?;
    }
    Ok(())
}

fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return refuse(format!("{field}: a name has 1 to {LONGEST_NAME} bytes, this one {}", name.len()));
    }
    if name.contains('\0') {
        return refuse(format!("{field}: a name holds no NUL"));
    }
    Ok(())
}

/// As `pg_export_snapshot()` names them: `%08X-%08X-%d` (`snapmgr.c`).
fn check_snapshot(id: &str) -> Result<(), Refusal> {
    let hex8 = |part: &str| part.len() == 8 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let number = |part: &str| (1..=10).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = id.split('-');
    let well_formed = parts.next().is_some_and(hex8)
        && parts.next().is_some_and(hex8)
        && parts.next().is_some_and(number)
        && parts.next().is_none();
    if well_formed { Ok(()) } else { refuse("snapshot: it looks like 00000003-0000001B-1, this does not") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dump(database: &str, snapshot: &str, table: &str) -> Vec<u8> {
        let exclude_table_data = vec![TableName { schema: "public".to_owned(), table: table.to_owned() }];
        let (database, snapshot) = (database.to_owned(), snapshot.to_owned());
        serde_json::to_vec(&Request::Dump { database, snapshot, exclude_table_data }).unwrap()
    }

    #[test]
    fn a_good_dump_is_taken() {
        assert!(parse(&dump("nexus", "00000003-0000001B-1", "odd \"name\"; --help")).is_ok());
    }

    #[test]
    fn snapshots_that_are_none_are_refused() {
        let long = format!("00000003-0000001B-{}", "1".repeat(11));
        let ids = ["", "-", "00000003-0000001B", "00000003-0000001B-", "00000003-0000001b-1", "x", &long];
        let more = [
            "0003-0000001B-1",
            "00000003-0000001B-1-1",
            "00000003-0000001B-1 --help",
            "00000003-0000001B-1\n",
        ];
        for id in ids.iter().chain(&more) {
            let refusal = parse(&dump("nexus", id, "t")).unwrap_err();
            assert!(refusal.0.starts_with("snapshot: "), "{id:?}: {refusal}");
        }
    }

    #[test]
    fn names_too_short_too_long_or_with_nul_are_refused() {
        for name in ["", "a\0b", &"x".repeat(64), &"é".repeat(32)] {
            assert!(parse(&dump(name, "00000003-0000001B-1", "t")).is_err(), "{name:?}");
            assert!(parse(&dump("nexus", "00000003-0000001B-1", name)).is_err(), "{name:?}");
        }
        assert!(parse(&dump(&"x".repeat(63), "00000003-0000001B-1", "t")).is_ok());
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
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
    fn too_many_tables_are_refused_and_the_number_is_said() {
        let table = r#"{"schema":"s","table":"t"},"#.repeat(MOST_TABLES + 1);
        let line = format!(
            r#"{{"request":"dump","database":"d","snapshot":"00000003-0000001B-1","exclude_table_data":[{}]}}"#,
            table.trim_end_matches(',')
        );
        assert_eq!(
            parse(line.as_bytes()).unwrap_err().0,
            "30001 tables to leave out; at most 30000 are taken"
        );
    }

    #[test]
    fn the_bytes_after_the_line_stay() {
        let mut input: &[u8] = b"{\"request\":\"redis-restore\"}\nREDIS\n0011";
        assert_eq!(read(&mut input).unwrap(), Ok(Request::RedisRestore {}));
        assert_eq!(input, b"REDIS\n0011");
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut short: &[u8] = br#"{"request":"containers"}"#;
        assert!(read(&mut short).unwrap().unwrap_err().0.contains("ended before"));
        let mut endless = io::BufReader::new(io::repeat(b' '));
        assert!(read(&mut endless).unwrap().unwrap_err().0.contains("longer than 4194304 bytes"));
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&line);
        }

        #[test]
        fn near_requests_never_panic(line in r#"\{"request":"(dump|restore|restart|x)"(,"[a-z]{1,9}":("[^"]{0,9}"|\[\]|1)){0,3}\}"#) {
            let _ = parse(line.as_bytes());
        }

        #[test]
        fn a_refusal_is_one_line(line in "\\PC{0,100}\n?\\PC{0,100}") {
            if let Err(refusal) = parse(line.as_bytes()) {
                prop_assert!(!refusal.0.contains('\n'));
            }
        }
    }
}
