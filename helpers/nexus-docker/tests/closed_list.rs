//! The closed list is the same everywhere: in the protocol, in `--help`, in the fuzzer's seeds and in `command`.

#![allow(clippy::unwrap_used)] // A test fails by them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nexus_docker::command::scratch::{LiveContainer, Spec};
use nexus_docker::command::tools::{self, Tool};
use nexus_docker::command::{Argv, redis, scratch, stack};
use nexus_docker::request;
use nexus_docker_client::protocol::{Request, Service};

/// The names of all variants of [`Request`], from serde's error about an unknown one.
fn names() -> BTreeSet<String> {
    let error = serde_json::from_str::<Request>(r#"{"request":"?"}"#).unwrap_err().to_string();
    let (_, list) = error.split_once("expected one of ").unwrap();
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Relative to the package, where cargo runs its tests: clones may share a target directory.
const SEEDS: &str = "../../tests/fuzz/seeds/docker_request";

/// The request in a seed; input may follow its line.
fn seed(name: &str) -> Request {
    let bytes = fs::read(Path::new(SEEDS).join(name)).unwrap_or_else(|e| panic!("the seed {name}: {e}"));
    request::read(&mut bytes.as_slice()).unwrap().unwrap()
}

/// The command lines that a request runs.
fn command_lines(request: &Request) -> Vec<Argv> {
    let id = format!("sha256:{}", "0".repeat(64));
    let live = LiveContainer::parse(&format!("{id}|image|/scripts")).unwrap();
    let server = |service, memory_mib, bytes| {
        vec![
            scratch::inspect_live(service),
            scratch::digests(&live),
            scratch::server(Spec { service, memory_mib, bytes }, &live),
            scratch::measure(service),
            scratch::ready(service),
            scratch::kill(service),
        ]
    };
    let tool = |tool: Tool| {
        assert_eq!(tool.takes_input, request.takes_input(), "{request}: input and watchdog");
        vec![tools::watchdog(tool.server, 1), tool.argv]
    };
    match request {
        Request::Dump { database, snapshot, exclude_table_data } => {
            tool(tools::dump(database, snapshot, exclude_table_data).unwrap())
        }
        Request::DumpRoles {} => tool(tools::dump_roles()),
        Request::Restore { database, section, server, without_tablespaces } => {
            tool(tools::restore(database, *section, *server, *without_tablespaces))
        }
        Request::PostDataScript { server } => tool(tools::post_data_script(*server)),
        Request::RedisRestore {} => vec![
            redis::image(),
            redis::load(&id),
            redis::stop(),
            redis::swap(&id),
            redis::undo(&id, "appendonlydir.before-restore"),
            redis::start(),
            redis::state(),
        ],
        Request::Containers {} => vec![stack::list(), stack::describe(&[id])],
        Request::Restart { service } => vec![stack::restart(*service)],
        Request::RestartHung { service } => vec![stack::restart_hung(*service)],
        Request::Daemon {} => {
            vec![stack::daemon(), stack::list(), stack::describe(&[id]), stack::image_id("x")]
        }
        Request::ScratchUp { memory_mib } => server(Service::Postgres, *memory_mib, 0),
        Request::ScratchRedis { bytes, memory_mib } => server(Service::Redis, *memory_mib, *bytes),
        Request::ScratchDown {} => vec![
            scratch::containers(),
            scratch::volumes(),
            scratch::remove_containers(&["x".to_owned()]),
            scratch::remove_volumes(&["x".to_owned()]),
        ],
    }
}

#[test]
fn the_list_has_all_requests() {
    let names = names();
    assert!(names.len() > 10, "{names:?}");
}

#[test]
fn help_lists_exactly_the_requests() {
    let output = Command::new(env!("CARGO_BIN_EXE_nexus-docker")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, list) = help.split_once("The requests are: ").unwrap();
    let (list, _) = list.split_once('.').unwrap();
    assert_eq!(list.split(", ").map(str::to_owned).collect::<BTreeSet<_>>(), names());
}

#[test]
fn the_fuzzer_has_a_seed_of_each_request() {
    let files = fs::read_dir(SEEDS).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), names());
    for name in names() {
        assert_eq!(seed(&name).name().unwrap(), name);
    }
}

#[test]
fn each_request_runs_known_docker_commands() {
    let known =
        ["exec", "image", "info", "inspect", "kill", "ps", "restart", "rm", "run", "start", "stop", "volume"];
    for name in names() {
        let lines = command_lines(&seed(&name));
        assert!(!lines.is_empty(), "{name}");
        for argv in lines {
            assert!(known.contains(&argv[0].as_str()), "{name}: {:?}", &argv[..]);
        }
    }
}
