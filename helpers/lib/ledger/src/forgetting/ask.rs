//! A client of nexus-purge's socket that asks it to forget one episode. It is asynchronous: the
//! caller serves others in the meantime.

use std::path::Path;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::forgetting::protocol::{ForgetReply, LONGEST_LINE, Request};

/// The longest wait for an answer: a little longer than nexus-purge@.service may run.
const PATIENCE: Duration = Duration::from_secs(35);

/// Asks the nexus-purge at `socket` to forget the episode of `request`.
///
/// [`ForgetReply::Forgotten`] means that the decision is in the ledger on disk, and that the row,
/// rows that refer to it, and its copies in Redis are gone. Dropping the future does not cancel the
/// request.
///
/// # Errors
/// Usage (64) for an invalid request; Permission (77) when this user may not connect; Unavailable
/// (69) when nobody listens, the connection ends without an answer, or 35 seconds pass. Then the
/// episode may be forgotten or not, and another request does no harm.
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
    // A server that turns a peer away answers without reading, so the answer counts, not the write.
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

    /// Asks a server that answers `said`.
    fn ask_server_that_answers(said: &'static str) -> Result<ForgetReply> {
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
    fn an_answer_is_parsed_and_a_malformed_or_missing_one_is_an_error() {
        assert_eq!(
            ask_server_that_answers("{\"v\":1,\"status\":\"absent\"}\n").unwrap(),
            ForgetReply::Absent
        );
        for silence in ["", "{\"v\":1,\"stat", "hello\n"] {
            assert_eq!(ask_server_that_answers(silence).unwrap_err().exit(), Exit::Unavailable, "{silence}");
        }
        assert_eq!(ask(Path::new("/nonexistent/purge.sock")).unwrap_err().exit(), Exit::Unavailable);
    }
}
