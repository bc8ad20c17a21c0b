//! Stopping in order: SIGTERM and SIGINT set a flag that every loop looks at, so that what is half done
//! is taken away before the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Exit, Failure, OrFail, Result};

/// A flag shared by all threads of a job. Cloning it shares it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    by_signal: Arc<AtomicBool>,
    by_failure: Arc<AtomicBool>,
}

impl Stop {
    /// A flag that SIGTERM and SIGINT set; a second such signal ends the process at once.
    ///
    /// # Errors
    /// When the handlers cannot be set.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            let doing = || "setting the handler for SIGTERM and SIGINT";
            // The order matters: on the second signal the flag is already set and the process ends.
            signal_hook::flag::register_conditional_shutdown(signal, 75, Arc::clone(&stop.by_signal))
                .or_fail(Exit::Software, doing)?;
            signal_hook::flag::register(signal, Arc::clone(&stop.by_signal))
                .or_fail(Exit::Software, doing)?;
        }
        Ok(stop)
    }

    /// A flag for one of several tries: the same signals set it, and a failure of this try does not stop the others.
    #[must_use]
    pub fn of_one_try(&self) -> Self {
        Self { by_signal: Arc::clone(&self.by_signal), by_failure: Arc::default() }
    }

    /// Tells all other threads of the job that one has failed.
    pub fn because_another_failed(&self) {
        self.by_failure.store(true, Ordering::Relaxed);
    }

    /// Whether the job is to stop, for whatever reason.
    pub fn is_set(&self) -> bool {
        self.by_signal.load(Ordering::Relaxed) || self.by_failure.load(Ordering::Relaxed)
    }

    /// Whether a signal asked for it.
    pub fn is_by_signal(&self) -> bool {
        self.by_signal.load(Ordering::Relaxed)
    }

    /// `Ok` while the job may go on.
    ///
    /// # Errors
    /// TryLater (75) once it is to stop.
    pub fn check(&self) -> Result<()> {
        if self.by_signal.load(Ordering::Relaxed) {
            return Err(Failure::new(Exit::TryLater, "stopped by a signal, nothing was published"));
        }
        if self.by_failure.load(Ordering::Relaxed) {
            return Err(Failure::new(Exit::TryLater, "stopped because another part of the job failed"));
        }
        Ok(())
    }
}
