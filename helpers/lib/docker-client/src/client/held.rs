//! Something that `nexus-docker` keeps running for as long as we hold the connection.

use std::io::Read;
use std::net::Shutdown;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use nix::poll::PollFlags;

use super::answer::Answer;
use super::failure_of;
use super::feed::Feed;

/// The longest line it may say.
const LONGEST_LINE: usize = 64 << 10;

/// A request whose work lives until it is let go of: in order by [`Held::end`], or by dropping it or dying, for the
/// helper notices either.
pub struct Held {
    answer: Answer,
    doing: String,
}

impl Held {
    pub(super) fn new(answer: Answer, doing: String) -> Self {
        Self { answer, doing }
    }

    /// Sends `input` and waits for the line that says that it lives.
    pub(super) fn first_line(&mut self, input: &mut dyn Read) -> Result<String> {
        let doing = &self.doing;
        let answer = &mut self.answer;
        let mut feed = Feed::new(input);
        let mut line = Vec::new();
        let mut bytes = vec![0; 16 << 10];
        while !line.ends_with(b"\n") {
            feed.fill().map_err(|e| failure_of(e, || format!("{doing}: reading its input")))?;
            let wanted = if feed.at_end() || feed.closed { PollFlags::empty() } else { PollFlags::POLLOUT };
            let ready = answer.wait(PollFlags::POLLIN | wanted).map_err(|e| failure_of(e, || doing))?;
            if ready.contains(PollFlags::POLLOUT) {
                feed.drain_into(answer.stream()).or_fail_io(|| doing.clone())?;
                if feed.closed {
                    answer.must_end_soon();
                }
            }
            if !ready.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
                continue;
            }
            match answer.read_ready(&mut bytes).map_err(|e| failure_of(e, || doing))? {
                Some(0) => {
                    return Err(Failure::new(Exit::Unavailable, doing).because("it ended before it lived"));
                }
                Some(got) if line.len() + got <= LONGEST_LINE => line.extend_from_slice(&bytes[..got]),
                Some(_) => {
                    return Err(Failure::new(Exit::Unavailable, doing).because("what it says has no end"));
                }
                None => {}
            }
        }
        Ok(String::from_utf8_lossy(&line).trim().to_owned())
    }

    /// Lets go, and waits until it is gone.
    ///
    /// # Errors
    /// Unavailable (69) when it had ended before, or could not be removed.
    pub fn end(mut self) -> Result<()> {
        self.answer.stream().shutdown(Shutdown::Write).or_fail_io(|| format!("ending: {}", self.doing))?;
        self.answer.finish()
    }
}
