//! Any bytes on nexus-docker's socket are refused in one line, or become a request with the one allowed form of command line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_docker::command::tools;
use nexus_docker::request;
use nexus_docker_client::protocol::{Request, Server};

fuzz_target!(|bytes: &[u8]| {
    let mut input = bytes;
    let Ok(read) = request::read(&mut input) else { return };
    let request = match read {
        Ok(request) => request,
        Err(invalid) => {
            assert!(!invalid.0.is_empty() && !invalid.0.contains('\n') && invalid.0.len() < 1000);
            return;
        }
    };
    // The rest is exactly what follows the line.
    let line = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    assert_eq!(input, &bytes[line + 1..]);

    let again = serde_json::to_vec(&request).unwrap();
    assert_eq!(request::parse(&again), Ok(request.clone()));

    let (tool, fields) = match &request {
        Request::Dump { database, snapshot, exclude_table_data } => {
            let Ok(tool) = tools::dump(database, snapshot, exclude_table_data) else { return };
            (tool, exclude_table_data.len() + 6)
        }
        Request::DumpRoles {} => (tools::dump_roles(), 2),
        Request::Restore { database, section, server, without_tablespaces } => {
            let no_tablespaces = *without_tablespaces || *server == Server::Scratch;
            (tools::restore(database, *section, *server, *without_tablespaces), 4 + usize::from(no_tablespaces))
        }
        Request::PostDataScript { server } => (tools::post_data_script(server), 3),
        Request::RedisRestore {}
        | Request::Containers {}
        | Request::Restart { .. }
        | Request::RestartHung { .. }
        | Request::Daemon {}
        | Request::ScratchUp { .. }
        | Request::ScratchRedis { .. }
        | Request::ScratchDown {} => return,
    };
    let argv = tool.argv;
    assert!(argv.iter().all(|word| !word.contains('\0')));
    // docker's own arguments and the script, then "sh", the tool and "--no-password", then the fields.
    assert_eq!(argv.len(), 11 + fields);
    assert_eq!(argv[4..7], [tool.container, "sh", "-c"]);
    assert!(["pg_dump", "pg_dumpall", "pg_restore"].contains(&argv[9].as_str()));
    for word in &argv[10..] {
        assert!(word.starts_with("--"), "{word:?} could be read as a file or a database");
    }
    for word in &argv[11..] {
        if let Some(pattern) = word.strip_prefix("--exclude-table-data=") {
            assert_eq!(unquoted(pattern, '"'), ".");
        }
        if let Some(conninfo) = word.strip_prefix("--dbname=dbname=") {
            assert_eq!(unquoted(&conninfo.replace("\\\\", "").replace("\\'", ""), '\''), "");
        }
    }
});

/// Returns the part of `text` outside of quotes.
fn unquoted(text: &str, quote: char) -> String {
    let mut inside = false;
    let outside = text.chars().filter(|&c| {
        inside ^= c == quote;
        !inside && c != quote
    });
    let outside: String = outside.collect();
    assert!(!inside, "a quote stays open in {text:?}");
    outside
}
