//! The peer: the program at the other end of the connection on standard input.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_ledger::forgetting::protocol::{ForgetReply, LONGEST_LINE};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Uid, User};

/// The time limit for reading the request, and for sending the reply.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The program that asks.
pub(super) struct Peer {
    socket: UnixStream,
    user: String,
}

impl Peer {
    /// Returns the peer of the connection on standard input.
    ///
    /// # Errors
    /// Usage (64) if standard input is not a socket.
    pub(super) fn on_standard_input() -> Result<Self> {
        let doing = || "reading the peer of standard input";
        let stdin = io::stdin().as_fd().try_clone_to_owned().or_fail(Exit::Usage, doing)?;
        let peer = getsockopt(&stdin, PeerCredentials).map_err(|error| {
            let failure = Failure::new(Exit::Usage, doing()).because(error);
            failure
                .advise("systemd runs this: systemctl start nexus-purge.socket. To forget an episode by hand: --episode ID")
        })?;
        let user = User::from_uid(Uid::from_raw(peer.uid())).ok().flatten();
        let user = user.map_or_else(|| format!("uid {}", peer.uid()), |user| user.name);
        Ok(Self { socket: UnixStream::from(stdin), user })
    }

    /// Returns the name of its user, or `uid N` if the user has no name.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Reads the only line that it may send, with its line feed.
    pub(super) fn read_line(&self) -> std::result::Result<Vec<u8>, String> {
        let deadline = Instant::now() + TIMEOUT;
        let (mut line, mut piece) = (Vec::new(), [0; 1024]);
        while !line.ends_with(b"\n") {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("no complete line came within {} s", TIMEOUT.as_secs()));
            }
            let got = self.socket.set_read_timeout(Some(left)).and_then(|()| (&self.socket).read(&mut piece));
            match got {
                Ok(0) => return Err("the connection ended before the line did".to_owned()),
                Ok(got) => line.extend_from_slice(&piece[..got]),
                // The next turn of the loop reports the timeout.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("it cannot be read: {error}")),
            }
            if line.len() > LONGEST_LINE {
                return Err(format!("it is longer than {LONGEST_LINE} bytes"));
            }
            if line[..line.len() - 1].contains(&b'\n') {
                return Err("more follows the line; a connection may send one request".to_owned());
            }
        }
        Ok(line)
    }

    /// Sends the reply. A failure changes nothing: the journal has the outcome.
    pub(super) fn send(&self, reply: &ForgetReply) {
        let Ok(line) = reply.to_line() else { return };
        let sent = self
            .socket
            .set_write_timeout(Some(TIMEOUT))
            .and_then(|()| (&self.socket).write_all(line.as_bytes()));
        if let Err(error) = sent {
            log::warn!("cannot send the reply to {}: {error}", self.user);
        }
    }
}
