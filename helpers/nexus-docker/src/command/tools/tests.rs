//! Whatever the fields contain, the command line keeps its shape, and each field is parsed back as it was given.

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

fn dump_of(database: &str, tables: &[(&str, &str)]) -> Result<Tool, RunError> {
    let table = |(schema, table): &(&str, &str)| TableName {
        schema: (*schema).to_owned(),
        table: (*table).to_owned(),
    };
    dump(database, "00000003-0000001B-1", &tables.iter().map(table).collect::<Vec<_>>())
}

#[test]
fn a_dump_is_this_command_line() {
    let argv = dump_of("nexus", &[("public", "episode"), ("we\"ird", "--help *")]).unwrap().argv;
    assert_eq!(argv[..7], HEAD);
    assert_eq!(
        argv[7..],
        [
            SELF_WATCHED,
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
    let roles = dump_roles().argv;
    assert_eq!(roles[..7], HEAD);
    assert_eq!(
        roles[7..],
        [SELF_WATCHED, "sh", "pg_dumpall", "--no-password", "--roles-only", "--no-role-passwords"]
    );
    let restore_to =
        |server, without| restore(r"it's a \ host=evil", Section::PostData, server, without).argv;
    let restore = restore_to(Server::Live, false);
    for (server, without) in [(Server::Live, true), (Server::Scratch, false)] {
        let argv = restore_to(server, without);
        assert!(argv.windows(2).any(|words| words == ["--exit-on-error", "--no-tablespaces"]));
    }
    assert_eq!(restore[..7], HEAD);
    assert_eq!(
        restore[7..],
        [
            WAITING,
            "sh",
            "pg_restore",
            "--no-password",
            "--format=custom",
            "--exit-on-error",
            "--section=post-data",
            r"--dbname=dbname='it\'s a \\ host=evil'",
        ]
    );
    let script = post_data_script(Server::Live).argv;
    assert_eq!(script[..7], HEAD);
    assert_eq!(
        script[7..],
        [WAITING, "sh", "pg_restore", "--no-password", "--format=custom", "--section=post-data", "--file=-"]
    );
}

#[test]
fn tools_for_a_throwaway_server_run_in_its_container_as_its_user() {
    let head = ["exec", "--interactive", "--user", "1879048999:1879048999"];
    for tool in [restore("nexus", Section::Data, Server::Scratch, false), post_data_script(Server::Scratch)] {
        assert_eq!(
            (&tool.argv[..4], &*tool.argv[6]),
            (&head.map(str::to_owned)[..], "nexus-scratch-postgres")
        );
        let watchdog = watchdog(tool.server, 7);
        assert_eq!(watchdog[..4], head);
        assert_eq!(watchdog[4..], ["nexus-scratch-postgres", "sh", "-c", WATCHDOG, "sh", "7"]);
    }
}

#[test]
fn a_command_line_over_the_kernels_limit_is_refused() {
    let name = "\"".repeat(63);
    let tables: Vec<(&str, &str)> = vec![(&name, &name); 6000];
    let error = dump_of("nexus", &tables).unwrap_err().to_string();
    assert!(error.contains("too many tables to exclude"), "{error}");
    assert!(dump_of("nexus", &tables[..5000]).is_ok());
}

/// Parses a quoted pattern as psql(1) documents; returns the name and the rest.
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

/// Parses a conninfo `dbname='…'` as libpq does (`conninfo_parse`); `None` if it contains anything else.
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
    fn names_are_parsed_back_as_they_were_given(
        database in name(),
        tables in prop::collection::vec((name(), name()), 0..6),
    ) {
        let borrowed: Vec<(&str, &str)> = tables.iter().map(|(s, t)| (s.as_str(), t.as_str())).collect();
        let argv = dump_of(&database, &borrowed).unwrap().argv;
        prop_assert_eq!(&argv[..7], &HEAD[..]);
        prop_assert_eq!(&argv[7..16], &[SELF_WATCHED, "sh", "pg_dump", "--no-password", "--format=custom", "--compress=0", "--encoding=UTF8", "--lock-wait-timeout=10000", "--snapshot=00000003-0000001B-1"][..]);
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
