//! Retries a backup that conflicted with other sessions. A failed try releases its locks at once. The next one starts after
//! a pause, with a new snapshot.

use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Result};
use nexus_cli::progress::Progress;
use nexus_cli::stop::Stop;

/// The pauses after all tries but the last.
const PAUSES: [Duration; 3] = [Duration::from_secs(3), Duration::from_secs(10), Duration::from_secs(20)];

/// How often a pause checks for a stop.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Runs `attempt` until it succeeds, fails for a lasting reason, or has been tried four times. Its argument says whether to
/// give way to sessions that wait for its locks. The last try does not: otherwise a program that empties a table every minute
/// would prevent every backup.
pub(crate) fn with_retries<T>(
    progress: &Progress,
    stop: &Stop,
    mut attempt: impl FnMut(&Stop, GiveWay) -> Result<T>,
) -> Result<T> {
    for pause in PAUSES {
        match attempt(&stop.of_one_try(), GiveWay::Yes) {
            Err(failure) if failure.exit() == Exit::TryLater && !stop.is_by_signal() => {
                log::warn!("{failure}. All locks are released; next try in {} s", pause.as_secs());
                wait(pause, progress, stop)?;
            }
            outcome => return outcome,
        }
    }
    attempt(&stop.of_one_try(), GiveWay::No)
}

/// Whether a try fails when other sessions wait for its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveWay {
    /// The try fails, and releases its locks.
    Yes,
    /// The try continues.
    No,
}

fn wait(pause: Duration, progress: &Progress, stop: &Stop) -> Result<()> {
    progress.doing("waiting for other sessions");
    let until = Instant::now() + pause;
    while Instant::now() < until {
        stop.check()?;
        progress.advance(0);
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nexus_cli::failure::Failure;

    use super::*;

    #[test]
    fn a_lasting_failure_is_not_retried() {
        let mut tries = 0;
        let outcome: Result<()> = with_retries(&Progress::new(false), &Stop::default(), |_, _| {
            tries += 1;
            Err(Failure::new(Exit::Unavailable, "connecting to a server that is down"))
        });
        assert!(outcome.is_err());
        assert_eq!(tries, 1);
    }

    #[test]
    fn a_failed_try_does_not_stop_the_next() {
        let stop = Stop::default();
        stop.of_one_try().because_another_failed();
        assert!(!stop.is_set() && !stop.of_one_try().is_set());
    }
}
