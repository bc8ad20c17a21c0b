//! Any bytes on nexus-purge's socket, in either direction, are refused in one line, or survive a round trip. A request is only an
//! agent and a UUID.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_ledger::forgetting::protocol::{ForgetReply, Request, LONGEST_AGENT, LONGEST_LINE};

fuzz_target!(|bytes: &[u8]| {
    match Request::parse(bytes) {
        Err(why) => is_one_line(&why),
        Ok(request) => {
            assert!(bytes.len() <= LONGEST_LINE);
            assert!((1..=LONGEST_AGENT).contains(&request.agent.len()) && !request.agent.contains('\0'));
            assert!(request.episode.len() == 36);
            assert!(request.episode.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
            let line = request.to_line().unwrap();
            assert!(line.len() <= LONGEST_LINE && line.find('\n') == Some(line.len() - 1));
            assert_eq!(Request::parse(line.as_bytes()), Ok(request));
        }
    }
    match ForgetReply::parse(bytes) {
        Err(why) => is_one_line(&why),
        Ok(answer) => {
            let line = answer.to_line().unwrap();
            assert!(line.len() <= LONGEST_LINE && line.find('\n') == Some(line.len() - 1));
            assert_eq!(ForgetReply::parse(line.as_bytes()), Ok(answer));
        }
    }
});

fn is_one_line(why: &str) {
    assert!(!why.is_empty() && !why.contains('\n') && why.chars().count() < 1200);
}
