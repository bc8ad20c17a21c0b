//! The program itself over a real socket, with a `docker` that records its arguments and runs the container's command on the host.
//! Like the real docker it leaves that running when it is killed.

#![allow(clippy::unwrap_used)] // A test may end by any of them.

mod bin;

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nexus_docker_client::frame::Frame;
use nexus_docker_client::protocol::{Request, Section, Server, Service, TableName};

use bin::{Answer, Bin, line, runs, wait_until};

fn dump(database: &str, table: &str) -> Request {
    let exclude_table_data = vec![TableName { schema: "a \"b\" $(c)".to_owned(), table: table.to_owned() }];
    let snapshot = "00000003-0000001B-1".to_owned();
    Request::Dump { database: database.to_owned(), snapshot, exclude_table_data }
}

#[test]
fn a_dump_passes_its_fields_to_the_tool_and_returns_the_output() {
    let bin = Bin::new();
    bin.add("pg_dump", "#!/bin/sh\nprintf '%s\\n' \"$@\"; echo warning >&2\n");
    let answer = bin.ask(&line(&dump("it's", "*; touch /tmp/x\n--help")), b"");
    assert_eq!(answer.last, Some(Frame::Exit(0)));
    assert_eq!(answer.stderr, "warning\n");
    let output = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(
        output,
        "--no-password\n--format=custom\n--compress=0\n--encoding=UTF8\n--lock-wait-timeout=10000\n--snapshot=00000003-0000001B-1\n\
         --exclude-table-data=\"a \"\"b\"\" $(c)\".\"*; touch /tmp/x\n--help\"\n--dbname=dbname='it\\'s'\n"
    );
    assert_eq!(bin.calls().len(), 1, "it needs no watchdog");
    let environment = fs::read_to_string(bin.path().join("environment")).unwrap();
    assert_eq!(environment, "DOCKER_HOST\nHOME\nPATH\nPWD\n", "PWD is the shell's own");
}

#[test]
fn the_tools_exit_status_is_returned() {
    let bin = Bin::new();
    bin.add("pg_dumpall", "#!/bin/sh\necho no >&2; exit 3\n");
    let answer = bin.ask(&line(&Request::DumpRoles {}), b"");
    assert_eq!((answer.last, answer.stderr.as_str()), (Some(Frame::Exit(3)), "no\n"));
}

#[test]
fn all_input_reaches_the_tool_and_a_half_close_is_no_hang_up() {
    let bin = Bin::new();
    bin.add("pg_restore", "#!/bin/sh\ncat > ${0%/*}/got; sleep 1; echo done\n");
    let archive: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let request = Request::Restore {
        database: "nexus".to_owned(),
        section: Section::Data,
        server: Server::Live,
        without_tablespaces: false,
    };
    let answer = bin.ask(&line(&request), &archive);
    assert_eq!((answer.last, answer.stdout.as_slice()), (Some(Frame::Exit(0)), &b"done\n"[..]));
    assert!(fs::read(bin.path().join("got")).unwrap() == archive);
}

#[test]
fn a_tool_may_read_only_a_part_of_its_input() {
    let bin = Bin::new();
    bin.add("pg_restore", "#!/bin/sh\nhead -c 1000 > /dev/null\n");
    let request = Request::Restore {
        database: "nexus".to_owned(),
        section: Section::PreData,
        server: Server::Live,
        without_tablespaces: false,
    };
    assert_eq!(bin.ask(&line(&request), &vec![7; 5_000_000]).last, Some(Frame::Exit(0)));
}

#[test]
fn an_invalid_request_never_reaches_docker() {
    let bin = Bin::new();
    let long_name = line(&dump("nexus", &"x".repeat(64)));
    let option = br#"{"request":"dump","database":"nexus","snapshot":"--help","exclude_table_data":[]}"#;
    let lines: [&[u8]; 6] =
        [b"\n", b"{}\n", b"docker ps\n", br#"{"request":"exec","argv":["sh"]}"#, option, &long_name];
    for bytes in lines {
        let answer = bin.ask(&[bytes, b"\n"].concat(), b"");
        assert!(!answer.refusal().is_empty());
    }
    assert!(bin.ask(b"{\"request\":", b"").refusal().contains("closed before the end"));
    assert!(bin.calls().is_empty());
}

#[test]
fn containers_are_listed_and_described() {
    let bin = Bin::new();
    let id = "0123456789abcdef".repeat(4);
    let described = |project: &str| {
        format!(r#"{{"name":"nexus-redis","project":"{project}","files":"","image":"redis:8"}}"#) + "\n"
    };
    // What is no id becomes no argument.
    bin.add("ps", &format!("--help\n{id}\nnexus-redis\n"));
    bin.add("inspect", &described("nexus-memory-stack"));
    let answer = bin.ask(&line(&Request::Containers {}), b"");
    assert_eq!(answer.stdout, described("nexus-memory-stack").as_bytes());
    let inspected: Vec<_> = bin.calls().into_iter().filter(|call| call[0] == "inspect").collect();
    assert_eq!(inspected.len(), 1);
    assert_eq!(inspected[0][5..], [id]);
    // A foreign container with a name of the stack.
    bin.add("inspect", &described("other"));
    let answer = bin.ask(&line(&Request::Containers {}), b"");
    assert_eq!((answer.last, answer.stdout.as_slice()), (Some(Frame::Exit(0)), &b""[..]));
    bin.add("ps", "");
    assert_eq!(bin.ask(&line(&Request::Containers {}), b"").last, Some(Frame::Exit(0)));
}

#[test]
fn a_restart_is_one_command_line() {
    let bin = Bin::new();
    // Redis's restart needs a lock of the machine.
    let answer = bin.ask(&line(&Request::Restart { service: Service::Postgres }), b"");
    assert_eq!((answer.last, answer.stderr.as_str()), (Some(Frame::Exit(1)), "Error: no restart\n"));
    assert_eq!(bin.calls(), [["restart", "nexus-postgres"]]);
}

#[test]
fn without_docker_the_answer_reports_that() {
    let bin = Bin::new();
    fs::remove_file(bin.path().join("docker")).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-docker"));
    let mut helper =
        command.env_clear().env("PATH", bin.path()).stdin(OwnedFd::from(theirs)).spawn().unwrap();
    (&ours).write_all(&line(&Request::Containers {})).unwrap();
    let answer = Answer::read(&mut &ours);
    assert!(answer.refusal().contains("docker is not on the PATH"), "{answer:?}");
    helper.wait().unwrap();
}

#[test]
fn without_a_connection_the_failure_names_the_unit() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-docker"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("systemctl start nexus-docker.socket"));
}

#[test]
fn a_hang_up_kills_the_tool() {
    let bin = Bin::new();
    let (mut helper, socket, tool) = bin.endless_dump();
    assert!(runs(tool));
    drop(socket);
    wait_until(|| !runs(tool));
    assert!(helper.wait().unwrap().success());
}

#[test]
fn killing_the_helper_kills_the_tool() {
    let bin = Bin::new();
    let (mut helper, mut socket, tool) = bin.endless_dump();
    helper.kill().unwrap();
    helper.wait().unwrap();
    wait_until(|| !runs(tool));
    assert_eq!(Answer::read(&mut socket).last, None, "a cut answer has no last frame");
}

#[test]
fn killing_the_tools_docker_cli_kills_the_tool() {
    let bin = Bin::new();
    bin.add("relays", "");
    let (mut helper, mut socket, tool) = bin.endless_dump();
    let cli = fs::read_to_string(bin.path().join("cli.pid")).unwrap();
    assert!(Command::new("kill").args(["-KILL", cli.trim()]).status().unwrap().success());
    wait_until(|| !runs(tool));
    assert!(helper.wait().unwrap().success());
    assert_eq!(Answer::read(&mut socket).last, Some(Frame::Exit(137)));
}

#[test]
fn a_client_that_disconnects_without_a_request_is_no_failure() {
    let bin = Bin::new();
    let (mut helper, socket) = bin.helper();
    drop(socket);
    assert!(helper.wait().unwrap().success());
    assert!(bin.calls().is_empty());
}
