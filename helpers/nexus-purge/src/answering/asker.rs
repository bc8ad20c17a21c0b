//! Who asks: the other end of the connection on standard input.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use nexus_ledger::forgetting::protocol::{ForgetReply, LONGEST_LINE};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Uid, User};

/// How long the request may take to come, and the answer to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// The one who asks.
pub(super) struct Asker {
    socket: UnixStream,
    name: String,
}

impl Asker {
    /// The one at the other end of standard input.
    ///
    /// # Errors
    /// Usage (64) when that is no connection.
    pub(super) fn on_standard_input() -> Result<Self> {
        let doing = || "taking the connection on standard input";
        let stdin = io::stdin().as_fd().try_clone_to_owned().or_fail(Exit::Usage, doing)?;
        let peer = getsockopt(&stdin, PeerCredentials).map_err(|error| {
            let failure = Failure::new(Exit::Usage, doing()).because(error);
            failure
                .advise("systemd runs this: systemctl start nexus-purge.socket. By hand there is --episode")
        })?;
        let user = User::from_uid(Uid::from_raw(peer.uid())).ok().flatten();
        let name = user.map_or_else(|| format!("uid {}", peer.uid()), |user| user.name);
        Ok(Self { socket: UnixStream::from(stdin), name })
    }

    /// The name of its user, or its number where it has none.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The first line that it says, with its line feed.
    ///
    /// # Errors
    /// Why none came.
    pub(super) fn line(&self) -> std::result::Result<Vec<u8>, String> {
        let deadline = Instant::now() + PATIENCE;
        let (mut line, mut piece) = (Vec::new(), [0; 1024]);
        while !line.ends_with(b"\n") {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("no line came in {} s", PATIENCE.as_secs()));
            }
            let got = self.socket.set_read_timeout(Some(left)).and_then(|()| (&self.socket).read(&mut piece));
            match got {
                Ok(0) => return Err("the connection ended before the line did".to_owned()),
                Ok(got) => line.extend_from_slice(&piece[..got]),
                // The time is over, and is looked at above.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("reading it: {error}")),
            }
            if line.len() > LONGEST_LINE {
                return Err(format!("it is longer than {LONGEST_LINE} bytes"));
            }
            if line[..line.len() - 1].contains(&b'\n') {
                return Err("more follows the line; one request a connection is taken".to_owned());
            }
        }
        Ok(line)
    }

    /// Tells it the answer. One that has gone needs none: what was done is done, and the journal says so.
    pub(super) fn tell(&self, answer: &ForgetReply) {
        let Ok(line) = answer.to_line() else { return };
        let told = self
            .socket
            .set_write_timeout(Some(PATIENCE))
            .and_then(|()| (&self.socket).write_all(line.as_bytes()));
        if let Err(error) = told {
            log::warn!("{} did not take the answer: {error}", self.name);
        }
    }
}
