//! Redis's snapshot over its own socket: we ask for it as a replica does, so nobody needs Redis's files or Docker.
//!
//! (Redis documentation, "Replication" and "REPLCONF"; `redis-cli --rdb` does the same.)

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use age::secrecy::zeroize::Zeroizing;
use age::secrecy::{ExposeSecret, SecretString};
use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::stop::Stop;

use super::reply::{Input, SnapshotHead};

/// How long a read waits before it looks whether the job is to stop.
const GLANCE: Duration = Duration::from_millis(250);

/// Bytes read at once.
const BUFFER: usize = 256 << 10;

/// Hands every piece of the RDB file to `take`, in order.
///
/// # Errors
/// Redis's, or the first that `take` returns.
pub(super) fn receive_snapshot(
    socket: &Path,
    password: &SecretString,
    stop: &Stop,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let doing = || format!("taking Redis's snapshot from {}", socket.display());
    let broken = |error: std::io::Error| match stop.check() {
        Err(stopped) => stopped,
        Ok(()) => Failure::new(Exit::Unavailable, doing())
            .because(error)
            .advise("See: docker logs nexus-redis; or set NEXUS_BACKUP_REDIS=no"),
    };
    let stream = UnixStream::connect(socket).map_err(broken)?;
    stream.set_read_timeout(Some(GLANCE)).map_err(broken)?;
    let mut output = stream.try_clone().map_err(broken)?;
    let mut input = Input::new(stream, stop.clone());

    let mut ask = |words: &[&str], must: bool| -> Result<()> {
        output.write_all(&command(words)).map_err(broken)?;
        let reply = input.line().map_err(broken)?;
        if must && !reply.starts_with(b"+") {
            let said = String::from_utf8_lossy(&reply).into_owned();
            return Err(Failure::new(Exit::Permission, doing()).because(said));
        }
        Ok(())
    };
    ask(&["AUTH", password.expose_secret()], true)?;
    // Lets Redis send the snapshot as it makes it, without a file of its own.
    ask(&["REPLCONF", "capa", "eof"], true)?;
    // Spares Redis the replication stream that nobody would read; older servers than 7.0 do not know it.
    ask(&["REPLCONF", "rdb-only", "1"], false)?;
    output.write_all(&command(&["SYNC"])).map_err(broken)?;
    let line = input.line().map_err(broken)?;
    let head = SnapshotHead::parse(&line).ok_or_else(|| {
        Failure::new(Exit::Unavailable, doing()).because(String::from_utf8_lossy(&line).into_owned())
    })?;
    match head {
        SnapshotHead::Length(length) => {
            let mut left = length;
            let mut buffer = vec![0; BUFFER];
            while left > 0 {
                let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let read = input.read_some(&mut buffer[..wanted]).map_err(broken)?;
                take(&buffer[..read])?;
                left -= read as u64;
            }
            Ok(())
        }
        SnapshotHead::Mark(mark) => {
            let mut tail = MarkedTail::new(mark);
            let mut buffer = vec![0; BUFFER];
            while !tail.is_complete() {
                let read = input.read_some(&mut buffer).map_err(broken)?;
                tail.push(&buffer[..read], &mut take)?;
            }
            Ok(())
        }
    }
}

/// Passes bytes on but holds back as many as the mark is long, until what is held is the mark.
struct MarkedTail {
    mark: Vec<u8>,
    held: Vec<u8>,
}

impl MarkedTail {
    fn new(mark: Vec<u8>) -> Self {
        Self { mark, held: Vec::new() }
    }

    fn is_complete(&self) -> bool {
        self.held == self.mark
    }

    fn push(&mut self, bytes: &[u8], take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.held.extend_from_slice(bytes);
        let pass = self.held.len().saturating_sub(self.mark.len());
        if pass > 0 {
            take(&self.held[..pass])?;
            self.held.drain(..pass);
        }
        Ok(())
    }
}

/// A command in Redis's wire protocol (RESP arrays of bulk strings).
fn command(words: &[&str]) -> Zeroizing<Vec<u8>> {
    let mut wire = Zeroizing::new(format!("*{}\r\n", words.len()).into_bytes());
    for word in words {
        wire.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        wire.extend_from_slice(word.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_mark_ends_the_snapshot_however_it_is_cut(
            body in prop::collection::vec(any::<u8>(), 0..200),
            cut in 1usize..50,
        ) {
            let mark = b"0123456789abcdef0123456789abcdef01234567".to_vec();
            let mut tail = MarkedTail::new(mark.clone());
            let mut got = Vec::new();
            for piece in [body.clone(), mark].concat().chunks(cut) {
                prop_assert!(!tail.is_complete());
                tail.push(piece, &mut |bytes| { got.extend_from_slice(bytes); Ok(()) }).unwrap();
            }
            prop_assert!(tail.is_complete());
            prop_assert_eq!(got, body);
        }
    }
}
