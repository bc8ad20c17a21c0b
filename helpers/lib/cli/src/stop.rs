//! Orderly stop: SIGTERM and SIGINT set a flag that every loop checks, so that the job removes its
//! partial results before it exits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Exit, Failure, OrFail, Result};

/// A flag that all threads of a job share. A clone shares it too.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    by_signal: Arc<AtomicBool>,
    by_failure: Arc<AtomicBool>,
}

impl Stop {
    /// Creates a flag that SIGTERM and SIGINT set. A second signal ends the process at once.
    ///
    /// # Errors
    /// Software (70) when the handlers cannot be set.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            let doing = || "setting the handler for SIGTERM and SIGINT";
            // The order matters: only on the second signal does this handler find the flag set and
            // end the process.
            signal_hook::flag::register_conditional_shutdown(signal, 75, Arc::clone(&stop.by_signal))
                .or_fail(Exit::Software, doing)?;
            signal_hook::flag::register(signal, Arc::clone(&stop.by_signal))
                .or_fail(Exit::Software, doing)?;
        }
        Ok(stop)
    }

    /// Creates a flag for one of several tries. The same signals set it, and a failure of this try
    /// does not stop the others.
    #[must_use]
    pub fn of_one_try(&self) -> Self {
        Self { by_signal: Arc::clone(&self.by_signal), by_failure: Arc::default() }
    }

    /// Stops the other threads of the job because one has failed.
    pub fn because_another_failed(&self) {
        self.by_failure.store(true, Ordering::Relaxed);
    }

    /// Returns whether the job must stop, by a signal or a failure.
    pub fn is_set(&self) -> bool {
        self.by_signal.load(Ordering::Relaxed) || self.by_failure.load(Ordering::Relaxed)
    }

    /// Returns whether a signal has set it.
    pub fn is_by_signal(&self) -> bool {
        self.by_signal.load(Ordering::Relaxed)
    }

    /// Returns `Ok` while the job may go on.
    ///
    /// # Errors
    /// TryLater (75) when the flag is set.
    pub fn check(&self) -> Result<()> {
        if self.by_signal.load(Ordering::Relaxed) {
            return Err(Failure::new(Exit::TryLater, "stopped by a signal; nothing was published"));
        }
        if self.by_failure.load(Ordering::Relaxed) {
            return Err(Failure::new(Exit::TryLater, "stopped because another part of the job failed"));
        }
        Ok(())
    }
}
