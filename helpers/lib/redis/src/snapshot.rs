//! Reads Redis's snapshot over its own socket, as a replica does. This needs neither Redis's files
//! nor Docker.
//!
//! (Redis documentation, "Replication" and "REPLCONF"; `redis-cli --rdb` does the same.)

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nexus_cli::stop::Stop;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::marked::MarkedTail;
use crate::reply::{Input, SnapshotHead};

/// How long a read waits before it checks whether the job must stop.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The user and password for Redis.
#[derive(Clone, Debug)]
pub struct Login {
    /// A user of Redis's ACL; `None` for the default user.
    pub user: Option<String>,
    /// The password.
    pub password: SecretString,
}

/// A stream of the RDB file that Redis sends. It ends where the file ends.
///
/// Errors carry a [`Failure`], which `or_fail_io` unwraps: Unavailable (69) when Redis closes the
/// connection, TryLater (75) when the job must stop.
#[derive(Debug)]
pub struct Snapshot {
    input: Input,
    doing: String,
    rest: Rest,
}

/// The rest of the snapshot.
#[derive(Debug)]
enum Rest {
    Bytes(u64),
    UntilMark(MarkedTail),
}

impl Snapshot {
    /// Asks Redis at `socket` for a snapshot of the moment at which Redis answers. A Redis without
    /// a password needs no login.
    ///
    /// # Errors
    /// Unavailable (69) when Redis does not answer, Permission (77) when it refuses the login or
    /// the command.
    pub fn ask(socket: &Path, login: Option<&Login>, stop: &Stop) -> Result<Self> {
        let doing = format!("taking Redis's snapshot from {}", socket.display());
        let begun = || {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(CHECK_INTERVAL))?;
            let mut handshake = Handshake {
                output: stream.try_clone()?,
                input: Input::new(stream, stop.clone()),
                doing: &doing,
            };
            let head = handshake.until_snapshot(login)?;
            Ok((head, handshake.input))
        };
        let (head, input) = begun().map_err(|e| broken(&doing, e)).or_fail_io(String::new)?;
        let rest = match head {
            SnapshotHead::Length(bytes) => Rest::Bytes(bytes),
            SnapshotHead::Mark(mark) => Rest::UntilMark(MarkedTail::new(mark)),
        };
        Ok(Self { input, doing, rest })
    }
}

impl Read for Snapshot {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let input = &mut self.input;
        let read = match &mut self.rest {
            Rest::Bytes(left) => {
                let wanted = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                if wanted == 0 {
                    return Ok(0);
                }
                input.read_some(&mut buffer[..wanted]).inspect(|read| *left -= *read as u64)
            }
            Rest::UntilMark(tail) => tail.read(buffer, |free| input.read_some(free)),
        };
        read.map_err(|e| broken(&self.doing, e))
    }
}

/// Wraps an error in a failure, unless it carries one.
fn broken(doing: &str, error: io::Error) -> io::Error {
    match error.downcast::<Failure>() {
        Ok(carried) => carried.into(),
        Err(error) => Failure::new(Exit::Unavailable, doing).because(error).into(),
    }
}

/// The handshake before the snapshot.
struct Handshake<'a> {
    output: UnixStream,
    input: Input,
    doing: &'a str,
}

impl Handshake<'_> {
    fn until_snapshot(&mut self, login: Option<&Login>) -> io::Result<SnapshotHead> {
        if let Some(Login { user, password }) = login {
            let mut words = vec!["AUTH"];
            words.extend(user.as_deref());
            words.push(password.expose_secret());
            let reply = self.ask(&words)?;
            if !reply.starts_with(b"+") {
                // Only the first word: Redis repeats the arguments of a command that it does not
                // know.
                let said = String::from_utf8_lossy(&reply).split(' ').next().unwrap_or_default().to_owned();
                let refused = format!("it refuses the login: {said}");
                return Err(Failure::new(Exit::Permission, self.doing).because(refused).into());
            }
        }
        // Lets Redis send the snapshot while it creates it, without a file.
        let reply = self.ask(&["REPLCONF", "capa", "eof"])?;
        if !reply.starts_with(b"+") {
            return Err(self.refused(&reply).into());
        }
        // Stops Redis from sending the replication stream, which nobody would read. Servers before
        // 7.0 reject it.
        self.ask(&["REPLCONF", "rdb-only", "1"])?;
        let head = self.ask(&["SYNC"])?;
        SnapshotHead::parse(&head).ok_or_else(|| self.refused(&head).into())
    }

    fn ask(&mut self, words: &[&str]) -> io::Result<Vec<u8>> {
        self.output.write_all(&command(words))?;
        self.input.line()
    }

    fn refused(&self, reply: &[u8]) -> Failure {
        let not_permitted = [b"-NOAUTH".as_slice(), b"-NOPERM"].iter().any(|code| reply.starts_with(code));
        let exit = if not_permitted { Exit::Permission } else { Exit::Unavailable };
        Failure::new(exit, self.doing).because(String::from_utf8_lossy(reply).into_owned())
    }
}

/// Encodes a command in Redis's wire protocol (RESP arrays of bulk strings).
fn command(words: &[&str]) -> Zeroizing<Vec<u8>> {
    // The full size at once: growing would leave copies of the password in memory.
    let size = words.iter().map(|word| word.len() + 32).sum::<usize>() + 32;
    let mut wire = Zeroizing::new(Vec::with_capacity(size));
    wire.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        wire.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        wire.extend_from_slice(word.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire
}
