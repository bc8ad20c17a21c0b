//! `--answer`: serves one request to forget one episode, over the connection on standard input. nexus-purge.socket starts it.

mod forget;
mod peer;

use std::time::Instant;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::journal::message_id;
use nexus_cli::text::counted;
use nexus_ledger::forgetting::protocol::{ForgetReply, Request};

use crate::args::Args;

use forget::Outcome;
use peer::Peer;

/// Serves the request on standard input.
///
/// # Errors
/// Why the episode was not forgotten. A malformed request, an absent episode and the hourly limit are not errors.
pub(crate) fn answer(args: &Args) -> Result<()> {
    let began = Instant::now();
    let peer = Peer::on_standard_input()?;
    let request = match peer.read_line().and_then(|line| Request::parse(&line)) {
        Ok(request) => request,
        Err(why) => {
            log::warn!("refused a malformed request of {}: {why}", peer.user());
            peer.send(&ForgetReply::Failed(format!("malformed request: {why}")));
            return Ok(());
        }
    };
    let outcome = forget::forget(args, &request, peer.user());
    let reply = match &outcome {
        Ok(Outcome::Forgotten) => ForgetReply::Forgotten,
        Ok(Outcome::Absent) => ForgetReply::Absent,
        Ok(Outcome::TooMany(recent)) => ForgetReply::TooMany(format!(
            "{} forgotten in the last hour reached the limit (NEXUS_PURGE_HOURLY)",
            counted(*recent, "episode")
        )),
        // If a server is down, the same request may succeed later.
        Err(failure) if matches!(failure.exit(), Exit::TryLater | Exit::Unavailable) => {
            ForgetReply::Busy(failure.to_string())
        }
        Err(failure) => ForgetReply::Failed(failure.to_string()),
    };
    // The journal must not reveal which episode was forgotten, or of which agent.
    match &reply {
        ForgetReply::Forgotten => {
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            log::info!(
                MESSAGE_ID = message_id::EPISODE_FORGOTTEN, NEXUS_JOB = "purge", NEXUS_ROWS = 1, NEXUS_USEC = micros;
                "forgot one episode for {}", peer.user()
            );
        }
        ForgetReply::Absent => {
            log::info!("{} asked to forget an episode that its agent does not have", peer.user());
        }
        // nexus-health counts the lines of the ledger and alerts the owner.
        ForgetReply::TooMany(why) => log::warn!(
            MESSAGE_ID = message_id::EPISODE_REFUSED, NEXUS_JOB = "purge";
            "refused to forget an episode for {}: {why}", peer.user()
        ),
        ForgetReply::Busy(_) | ForgetReply::Failed(_) => {}
    }
    peer.send(&reply);
    outcome.map(drop).map_err(|failure: Failure| failure.while_doing("forgetting one episode"))
}
