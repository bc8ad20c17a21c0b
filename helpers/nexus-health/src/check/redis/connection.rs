//! A connection to Redis over its socket (Redis documentation, "Redis serialization protocol"), with a timeout for every command.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nexus_cli::credentials;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::finding::Finding;
use crate::report::Liveness;

/// The timeout of each read and write.
const LIMIT: Duration = Duration::from_secs(5);

/// The most bytes to read of a reply. INFO has some 8 KiB.
const LONGEST: u64 = 256 << 10;

/// An authenticated connection.
pub(super) struct Connection {
    stream: BufReader<UnixStream>,
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct ConnectionError {
    pub(super) liveness: Liveness,
    sentence: String,
}

impl Connection {
    /// Connects and authenticates.
    pub(super) fn open(socket: &Path) -> Result<Self, ConnectionError> {
        let password = credentials::read("redis_password")
            .map_err(|failure| ConnectionError { liveness: Liveness::Busy, sentence: failure.to_string() })?;
        let stream =
            UnixStream::connect(socket).map_err(|error| ConnectionError::unconnected(socket, &error))?;
        let limited =
            stream.set_read_timeout(Some(LIMIT)).and_then(|()| stream.set_write_timeout(Some(LIMIT)));
        limited.map_err(|error| ConnectionError::broken(&error))?;
        let mut connection = Self { stream: BufReader::new(stream) };
        connection.command(&["AUTH", password.expose_secret()])?;
        Ok(connection)
    }

    /// Sends a command and returns the reply as text, an array with one line for each element.
    pub(super) fn command(&mut self, words: &[&str]) -> Result<String, ConnectionError> {
        // The command may hold the password.
        let mut command = Zeroizing::new(format!("*{}\r\n", words.len()));
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream
            .get_mut()
            .write_all(command.as_bytes())
            .map_err(|error| ConnectionError::broken(&error))?;
        let reply =
            read(&mut (&mut self.stream).take(LONGEST)).map_err(|error| ConnectionError::broken(&error))?;
        reply.map_err(|refusal| ConnectionError {
            liveness: Liveness::Busy,
            sentence: format!("Redis refuses {}: {refusal}", words[0]),
        })
    }
}

/// Reads a reply. The inner error is a reply of Redis.
fn read(input: &mut impl BufRead) -> io::Result<Result<String, String>> {
    let line = line(input)?;
    let Some(count) = line.strip_prefix('*') else { return value(&line, input) };
    let mut lines = String::new();
    for _ in 0..count.parse::<u8>().map_err(|_| invalid())? {
        match value(&self::line(input)?, input)? {
            Ok(value) => lines.push_str(&format!("{value}\n")),
            refused => return Ok(refused),
        }
    }
    Ok(Ok(lines))
}

/// Reads a value that is not an array, after its first line `line`.
fn value(line: &str, input: &mut impl BufRead) -> io::Result<Result<String, String>> {
    let (kind, rest) = line.split_at_checked(1).ok_or_else(invalid)?;
    match kind {
        "+" | ":" => Ok(Ok(rest.to_owned())),
        "-" => Ok(Err(rest.to_owned())),
        "$" => {
            let length: u64 = rest.parse().map_err(|_| invalid())?;
            let mut text = Vec::new();
            input.take(length.saturating_add(2)).read_to_end(&mut text)?;
            text.truncate(text.len().saturating_sub(2));
            Ok(Ok(String::from_utf8_lossy(&text).into_owned()))
        }
        _ => Err(invalid()),
    }
}

fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed reply")
}

impl ConnectionError {
    fn unconnected(socket: &Path, error: &io::Error) -> Self {
        let no_directory = socket.parent().is_some_and(|directory| !directory.exists());
        let liveness = if no_directory { Liveness::NoDirectory } else { Liveness::NotListening };
        Self { liveness, sentence: format!("Redis is not reachable: {}: {error}", socket.display()) }
    }

    fn broken(error: &io::Error) -> Self {
        match error.kind() {
            // The errors of a read timeout (socket(7), SO_RCVTIMEO).
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let sentence = format!("Redis does not answer within {} seconds.", LIMIT.as_secs());
                Self { liveness: Liveness::Unresponsive, sentence }
            }
            _ => Self { liveness: Liveness::Busy, sentence: format!("Redis closed the connection: {error}") },
        }
    }

    /// Returns the finding. A server that is loading its file or running a long script gets a minute before the finding counts.
    pub(super) fn finding(&self) -> Finding {
        let patience = if self.liveness == Liveness::Busy { 3 } else { 1 };
        let advice = "See: docker logs nexus-redis; systemctl status nexus-stack";
        Finding::critical("redis", self.sentence.clone(), advice).patient(patience)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_type_of_reply_is_read() {
        let text = |bytes: &str| read(&mut bytes.as_bytes()).unwrap();
        assert_eq!(text("+PONG\r\n"), Ok("PONG".to_owned()));
        assert_eq!(text("$5\r\na\r\nb:\r\n"), Ok("a\r\nb:".to_owned()));
        assert_eq!(text("*2\r\n$3\r\ndir\r\n$5\r\n/data\r\n"), Ok("dir\n/data\n".to_owned()));
        assert_eq!(text("-LOADING Redis is loading\r\n"), Err("LOADING Redis is loading".to_owned()));
        assert!(read(&mut "".as_bytes()).is_err() && read(&mut "x\r\n".as_bytes()).is_err());
    }

    #[test]
    fn a_server_that_accepts_and_does_not_reply_is_unresponsive() {
        let error = io::Error::from(io::ErrorKind::WouldBlock);
        assert_eq!(ConnectionError::broken(&error).liveness, Liveness::Unresponsive);
        let nowhere = Path::new("/nonexistent/redis.sock");
        assert_eq!(ConnectionError::unconnected(nowhere, &error).liveness, Liveness::NoDirectory);
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _either = read(&mut bytes.as_slice());
        }
    }
}
