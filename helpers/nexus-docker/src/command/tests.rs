//! Whatever the fields hold, the command line keeps its shape, and each field comes out as it went in.

use proptest::prelude::*;

use super::*;

const HEAD: [&str; 7] = [
    "exec",
    "--interactive",
    "--env",
    "PGOPTIONS=-c client_connection_check_interval=1s -c statement_timeout=0 \
     -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c lock_timeout=2min",
    "nexus-postgres",
    "sh",
    "-c",
];

fn argv(request: &Request) -> Argv {
    tool(request).unwrap().unwrap()
}

fn dump_of(database: &str, tables: &[(&str, &str)]) -> Request {
    let table = |(schema, table): &(&str, &str)| TableName {
        schema: (*schema).to_owned(),
        table: (*table).to_owned(),
    };
    Request::Dump {
        database: database.to_owned(),
        snapshot: "00000003-0000001B-1".to_owned(),
        exclude_table_data: tables.iter().map(table).collect(),
    }
}

#[test]
fn a_dump_is_this_command_line() {
    let argv = argv(&dump_of("nexus", &[("public", "episode"), ("we\"ird", "--help *")]));
    assert_eq!(argv[..7], HEAD);
    assert_eq!(
        argv[7..],
        [
            WATCHED,
            "sh",
            "pg_dump",
            "--no-password",
            "--format=custom",
            "--compress=0",
            "--encoding=UTF8",
            "--lock-wait-timeout=10000",
            "--snapshot=00000003-0000001B-1",
            r#"--exclude-table-data="public"."episode""#,
            r#"--exclude-table-data="we""ird"."--help *""#,
            "--dbname=dbname='nexus'",
        ]
    );
}

#[test]
fn the_other_tools_are_these_command_lines() {
    let roles = argv(&Request::DumpRoles {});
    assert_eq!(roles[..7], HEAD);
    assert_eq!(
        roles[7..],
        [WATCHED, "sh", "pg_dumpall", "--no-password", "--roles-only", "--no-role-passwords"]
    );
    let database = r"it's a \ host=evil".to_owned();
    let restore_to = |server, without_tablespaces| {
        let database = database.clone();
        argv(&Request::Restore { database, section: Section::PostData, server, without_tablespaces })
    };
    let restore = restore_to(Stand::Living, false);
    for (server, without) in [(Stand::Living, true), (Stand::Scratch, false)] {
        assert_eq!(restore_to(server, without)[12..14], ["--exit-on-error", "--no-tablespaces"]);
    }
    assert_eq!(restore[..7], HEAD);
    assert_eq!(
        restore[7..],
        [
            HELD,
            "sh",
            "pg_restore",
            "--no-password",
            "--format=custom",
            "--exit-on-error",
            "--section=post-data",
            r"--dbname=dbname='it\'s a \\ host=evil'",
        ]
    );
    let script = argv(&Request::PostDataScript {});
    assert_eq!(script[..7], HEAD);
    assert_eq!(
        script[7..],
        [HELD, "sh", "pg_restore", "--no-password", "--format=custom", "--section=post-data", "--file=-"]
    );
}

#[test]
fn what_takes_no_tool_has_no_tool() {
    for request in [Request::Containers {}, Request::RedisRestore {}] {
        assert!(tool(&request).is_none());
    }
    assert_eq!(restart(Service::Redis), ["restart", "nexus-redis"]);
    assert_eq!(lifeline("nexus-postgres", 7).last().unwrap(), "7");
}

#[test]
fn a_command_line_that_the_kernel_would_not_take_is_refused() {
    let name = "\"".repeat(63);
    let tables: Vec<(&str, &str)> = vec![(&name, &name); 6000];
    let refusal = tool(&dump_of("nexus", &tables)).unwrap().unwrap_err();
    assert!(refusal.0.contains("too many tables to leave out"), "{refusal}");
    assert!(tool(&dump_of("nexus", &tables[..5000])).unwrap().is_ok());
}

/// The name that a quoted pattern stands for, read as psql(1) says; `None` when it is more than that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut name = String::new();
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

/// The single value of a conninfo `dbname='…'`, read as libpq does (`conninfo_parse`).
fn conninfo_dbname(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix("dbname='")?.chars();
    let mut value = String::new();
    loop {
        match chars.next()? {
            '\\' => value.push(chars.next()?),
            '\'' => break,
            other => value.push(other),
        }
    }
    chars.as_str().is_empty().then_some(value)
}

fn name() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\"", "'", "\\", "*", "?", ".", "$(id)", ";", "-", "=", " ", "\n", "`", "%",
    ]);
    prop_oneof![
        prop::collection::vec(nasty, 1..20).prop_map(|parts| parts.concat()),
        "[^\0]{1,15}",
        "-{1,2}[a-z]{1,12}(=.{0,10})?",
        "(postgresql://|host=|service=).{1,20}",
    ]
}

proptest! {
    #[test]
    fn names_come_out_as_they_went_in_and_as_nothing_else(
        database in name(),
        tables in prop::collection::vec((name(), name()), 0..6),
    ) {
        let borrowed: Vec<(&str, &str)> = tables.iter().map(|(s, t)| (s.as_str(), t.as_str())).collect();
        let argv = argv(&dump_of(&database, &borrowed));
        prop_assert_eq!(&argv[..7], &HEAD[..]);
        prop_assert_eq!(&argv[7..16], &[WATCHED, "sh", "pg_dump", "--no-password", "--format=custom", "--compress=0", "--encoding=UTF8", "--lock-wait-timeout=10000", "--snapshot=00000003-0000001B-1"][..]);
        prop_assert_eq!(argv.len(), 17 + tables.len());
        for (word, (schema, table)) in argv[16..].iter().zip(&tables) {
            let text = word.strip_prefix("--exclude-table-data=").unwrap();
            let (got_schema, rest) = unquote(text).unwrap();
            let (got_table, rest) = unquote(rest.strip_prefix('.').unwrap()).unwrap();
            prop_assert_eq!((&got_schema, &got_table, rest), (schema, table, ""));
        }
        let conninfo = argv.last().unwrap().strip_prefix("--dbname=").unwrap();
        prop_assert_eq!(conninfo_dbname(conninfo), Some(database));
    }
}
