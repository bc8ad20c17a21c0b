//! Asking nexus-purge to forget one episode, over its socket. Asynchronous: who asks serves others meanwhile.

use std::path::Path;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::forgetting::protocol::{ForgetReply, LONGEST_LINE, Request};

/// How long the answer may take: a little longer than nexus-purge@.service may run.
const PATIENCE: Duration = Duration::from_secs(35);

/// Has the episode `request` names forgotten by the nexus-purge that listens at `socket`.
///
/// When this gives [`ForgetReply::Forgotten`], the ledger says so on the disk, and the row, what refers to it and its copies in
/// Redis are gone. Dropping the future does not take the request back.
///
/// # Errors
/// Usage (64) for a request that is none; Permission (77) when this user may not ask; Unavailable (69) when nobody
/// listens, or the connection ends or 35 seconds pass without an answer: then it may have been forgotten or not, and asking
/// again does no harm.
pub async fn forget(socket: &Path, request: &Request) -> Result<ForgetReply> {
    let doing = || format!("asking nexus-purge at {} to forget an episode", socket.display());
    let line = request.to_line().or_fail(Exit::Usage, doing)?;
    let answer = tokio::time::timeout(PATIENCE, exchange(socket, line.as_bytes())).await;
    let answer =
        answer.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut)).and_then(|answer| answer);
    let answer = answer.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::Unavailable,
        };
        Failure::new(exit, doing())
            .because(error)
            .advise("See: systemctl status nexus-purge.socket; journalctl -u 'nexus-purge@*'")
    })?;
    if answer.is_empty() {
        return Err(Failure::new(Exit::Unavailable, doing())
            .because("the connection ended without an answer")
            .advise("See: journalctl -u 'nexus-purge@*'"));
    }
    ForgetReply::parse(&answer).or_fail(Exit::Unavailable, || format!("{}: reading the answer", doing()))
}

async fn exchange(socket: &Path, line: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).await?;
    // Whoever turns an asker away answers without reading: what counts is the answer.
    let written = stream.write_all(line).await;
    let mut answer = Vec::new();
    let read = (&mut stream).take(LONGEST_LINE as u64 + 1).read_to_end(&mut answer).await;
    if answer.is_empty() {
        written?;
        read?;
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// Asks one that answers `said`.
    fn ask_one_that_says(said: &'static str) -> Result<ForgetReply> {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("purge.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = [0; 1];
            while stream.read(&mut line).unwrap() == 1 && line != *b"\n" {}
            stream.write_all(said.as_bytes()).unwrap();
        });
        let asked = ask(&socket);
        answering.join().unwrap();
        asked
    }

    fn ask(socket: &Path) -> Result<ForgetReply> {
        let request =
            Request { agent: "nexus".into(), episode: "0d9c2f7a-5b1e-4f6a-9c3d-7e8f9a0b1c2d".into() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(forget(socket, &request))
    }

    #[test]
    fn the_answer_is_what_was_said_and_silence_is_none() {
        assert_eq!(ask_one_that_says("{\"v\":1,\"status\":\"absent\"}\n").unwrap(), ForgetReply::Absent);
        for silence in ["", "{\"v\":1,\"stat", "hello\n"] {
            assert_eq!(ask_one_that_says(silence).unwrap_err().exit(), Exit::Unavailable, "{silence}");
        }
        assert_eq!(ask(Path::new("/nonexistent/purge.sock")).unwrap_err().exit(), Exit::Unavailable);
    }
}
