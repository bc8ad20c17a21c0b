//! Whatever bytes come over nexus-docker's socket, they are refused in one line or become a request whose
//! command line has the one shape it may have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_docker::{command, request};
use nexus_docker_client::protocol::{Request, Stand};

fuzz_target!(|bytes: &[u8]| {
    let mut input = bytes;
    let Ok(read) = request::read(&mut input) else { return };
    let request = match read {
        Ok(request) => request,
        Err(refusal) => {
            assert!(!refusal.0.is_empty() && !refusal.0.contains('\n') && refusal.0.len() < 1000);
            return;
        }
    };
    // What stays is exactly what follows the line.
    let line = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    assert_eq!(input, &bytes[line + 1..]);

    let again = serde_json::to_vec(&request).unwrap();
    assert_eq!(request::parse(&again), Ok(request.clone()));

    let Some(argv) = command::tool(&request) else { return };
    let Ok(argv) = argv else { return };
    assert!(argv.iter().all(|word| !word.contains('\0')));
    let fields = match &request {
        Request::Dump { exclude_table_data, .. } => exclude_table_data.len() + 5,
        Request::Restore { server: Stand::Scratch, .. } => 5,
        Request::Restore { .. } => 4,
        Request::PostDataScript {} => 3,
        _ => 2,
    };
    // docker's own words and the script, then "sh", the tool and "--no-password", then the fields.
    assert_eq!(argv.len(), 11 + fields);
    assert_eq!(argv[4..7], [command::tools_container(&request), "sh", "-c"]);
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

/// What of `text` stands outside of quotes.
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
