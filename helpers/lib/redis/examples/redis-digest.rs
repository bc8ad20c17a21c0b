//! Prints the summary of an RDB file, or of the Redis that listens on a socket. For
//! tests/live/redis-digest.sh.
//!
//! usage: redis-digest FILE|SOCKET [MILLISECONDS]     leaves out keys and fields that expire before this time (since 1970)

use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::stop::Stop;
use nexus_rdb::Summary;
use nexus_redis::content::summarize;
use nexus_redis::snapshot::Snapshot;

fn main() -> std::process::ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match summary(&words) {
        Ok(summary) => {
            println!("{}", serde_json::to_string_pretty(&summary).unwrap_or_default());
            std::process::ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("redis-digest: {failure}");
            failure.exit_code()
        }
    }
}

fn summary(words: &[String]) -> Result<Summary> {
    let usage = || "usage: redis-digest FILE|SOCKET [MILLISECONDS]";
    let path = Path::new(words.first().ok_or_else(|| Failure::new(Exit::Usage, usage()))?);
    let cutoff = match words.get(1) {
        Some(text) => Timestamp::from_millisecond(text.parse().or_fail(Exit::Usage, usage)?)
            .or_fail(Exit::Usage, usage)?,
        None => Timestamp::UNIX_EPOCH,
    };
    let doing = || format!("opening {}", path.display());
    if path.metadata().or_fail_io(doing)?.file_type().is_socket() {
        summarize(Snapshot::ask(path, None, &Stop::default())?, cutoff)
    } else {
        summarize(File::open(path).or_fail_io(doing)?, cutoff)
    }
}
