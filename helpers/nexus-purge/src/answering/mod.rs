//! `--answer`: one request over the connection on standard input, to forget one episode. nexus-purge.socket has it started.

mod asker;
mod forget;

use std::time::Instant;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::journal::message_id;
use nexus_cli::text::counted;
use nexus_ledger::forgetting::protocol::{ForgetReply, Request};

use crate::args::Args;

use asker::Asker;
use forget::Outcome;

/// Answers the connection on standard input. What the asker is told of a failure is not the owner's to mend, or is in the
/// journal besides.
///
/// # Errors
/// Why the episode was not forgotten, but for one that the agent has not, and for a request that is none.
pub(crate) fn answer(args: &Args) -> Result<()> {
    let began = Instant::now();
    let asker = Asker::on_standard_input()?;
    let request = match asker.line().and_then(|line| Request::parse(&line)) {
        Ok(request) => request,
        Err(why) => {
            log::warn!("refused what {} asked: {why}", asker.name());
            asker.tell(&ForgetReply::Failed(format!("this is no request: {why}")));
            return Ok(());
        }
    };
    let outcome = forget::forget(args, &request, asker.name());
    let answer = match &outcome {
        Ok(Outcome::Forgotten) => ForgetReply::Forgotten,
        Ok(Outcome::Absent) => ForgetReply::Absent,
        Ok(Outcome::TooMany(recent)) => ForgetReply::TooMany(format!(
            "{} were forgotten within the last hour, which is the limit (NEXUS_PURGE_HOURLY)",
            counted(*recent, "episode")
        )),
        // A server that is down is no fault of the request either: the same request may be taken later.
        Err(failure) if matches!(failure.exit(), Exit::TryLater | Exit::Unavailable) => {
            ForgetReply::Busy(failure.to_string())
        }
        Err(failure) => ForgetReply::Failed(failure.to_string()),
    };
    // Not which episode, nor whose: who reads the journal is not to know what was forgotten.
    match &answer {
        ForgetReply::Forgotten => {
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            log::info!(
                MESSAGE_ID = message_id::EPISODE_FORGOTTEN, NEXUS_JOB = "purge", NEXUS_ROWS = 1, NEXUS_USEC = micros;
                "forgot one episode for {}", asker.name()
            );
        }
        ForgetReply::Absent => {
            log::info!("{} asked to forget an episode that its agent has not", asker.name());
        }
        // nexus-health counts the lines of the ledger and tells the owner.
        ForgetReply::TooMany(why) => log::warn!(
            MESSAGE_ID = message_id::EPISODE_REFUSED, NEXUS_JOB = "purge";
            "refused to forget an episode for {}: {why}", asker.name()
        ),
        ForgetReply::Busy(_) | ForgetReply::Failed(_) => {}
    }
    asker.tell(&answer);
    outcome.map(drop).map_err(|failure: Failure| failure.while_doing("forgetting one episode"))
}
