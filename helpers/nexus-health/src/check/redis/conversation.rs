//! A few questions to Redis over its socket (Redis documentation, "Redis serialization protocol"), every one with a limit.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nexus_cli::credentials;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::finding::Finding;
use crate::look::Answer;

/// For each read.
const LIMIT: Duration = Duration::from_secs(5);

/// INFO has some 8 KiB.
const LONGEST: u64 = 256 << 10;

/// A connection that is logged in.
pub(super) struct Conversation {
    stream: BufReader<UnixStream>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What that says of the server.
    pub(super) answer: Answer,
    sentence: String,
}

impl Conversation {
    /// Connects and logs in.
    pub(super) fn begin(socket: &Path) -> Result<Self, Trouble> {
        let password = credentials::read("redis_password")
            .map_err(|failure| Trouble { answer: Answer::NotNow, sentence: failure.to_string() })?;
        let stream = UnixStream::connect(socket).map_err(|error| Trouble::unconnected(socket, &error))?;
        let limited =
            stream.set_read_timeout(Some(LIMIT)).and_then(|()| stream.set_write_timeout(Some(LIMIT)));
        limited.map_err(|error| Trouble::broken(&error))?;
        let mut conversation = Self { stream: BufReader::new(stream) };
        conversation.ask(&["AUTH", password.expose_secret()])?;
        Ok(conversation)
    }

    /// Asks, and gives the answer as text; an array as one line an element.
    pub(super) fn ask(&mut self, words: &[&str]) -> Result<String, Trouble> {
        // May hold the password.
        let mut command = Zeroizing::new(format!("*{}\r\n", words.len()));
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(command.as_bytes()).map_err(|error| Trouble::broken(&error))?;
        let answer = read(&mut (&mut self.stream).take(LONGEST)).map_err(|error| Trouble::broken(&error))?;
        answer.map_err(|refusal| Trouble {
            answer: Answer::NotNow,
            sentence: format!("Redis refuses {}: {refusal}", words[0]),
        })
    }
}

/// Reads an answer; the inner error is Redis's own.
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

/// One value that is no array; `line` is its first line.
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
    io::Error::new(io::ErrorKind::InvalidData, "an answer that is none of Redis's")
}

impl Trouble {
    fn unconnected(socket: &Path, error: &io::Error) -> Self {
        let no_directory = socket.parent().is_some_and(|directory| !directory.exists());
        let answer = if no_directory { Answer::NoDirectory } else { Answer::Absent };
        Self { answer, sentence: format!("Redis is not there: {}: {error}.", socket.display()) }
    }

    fn broken(error: &io::Error) -> Self {
        match error.kind() {
            // How a read timeout shows itself (socket(7), SO_RCVTIMEO).
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let sentence = format!("Redis does not answer within {} seconds.", LIMIT.as_secs());
                Self { answer: Answer::Silent, sentence }
            }
            _ => Self { answer: Answer::NotNow, sentence: format!("Redis broke off: {error}.") },
        }
    }

    /// As a finding. One that loads its file, or runs a long script, is given a minute.
    pub(super) fn finding(&self) -> Finding {
        let patience = if self.answer == Answer::NotNow { 3 } else { 1 };
        let advice = "See: docker logs nexus-redis; systemctl status nexus-stack";
        Finding::critical("redis", self.sentence.clone(), advice).patient(patience)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_of_answer_is_read() {
        let text = |bytes: &str| read(&mut bytes.as_bytes()).unwrap();
        assert_eq!(text("+PONG\r\n"), Ok("PONG".to_owned()));
        assert_eq!(text("$5\r\na\r\nb:\r\n"), Ok("a\r\nb:".to_owned()));
        assert_eq!(text("*2\r\n$3\r\ndir\r\n$5\r\n/data\r\n"), Ok("dir\n/data\n".to_owned()));
        assert_eq!(text("-LOADING Redis is loading\r\n"), Err("LOADING Redis is loading".to_owned()));
        assert!(read(&mut "".as_bytes()).is_err() && read(&mut "x\r\n".as_bytes()).is_err());
    }

    #[test]
    fn one_that_takes_the_connection_and_says_nothing_may_be_hung() {
        let error = io::Error::from(io::ErrorKind::WouldBlock);
        assert_eq!(Trouble::broken(&error).answer, Answer::Silent);
        let nowhere = Path::new("/nonexistent/redis.sock");
        assert_eq!(Trouble::unconnected(nowhere, &error).answer, Answer::NoDirectory);
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _either = read(&mut bytes.as_slice());
        }
    }
}
