//! Ends a restore before the live server runs out of space for its log.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::stop::Stop;

use crate::apply::space::ServerDisks;

/// The time between two measurements. A restore can write some hundred MiB in that time.
const INTERVAL: Duration = Duration::from_millis(200);

/// Measures the free space in a thread, and stops the job if there is too little.
#[derive(Debug, Default)]
pub(crate) struct Watch(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_over: bool,
    shortage: Option<String>,
}

impl Watch {
    /// Starts measuring `disks`.
    pub(crate) fn begin(disks: Option<ServerDisks>, stop: &Stop) -> Self {
        Self::with(stop, move || disks.as_ref().and_then(ServerDisks::shortage))
    }

    fn with(stop: &Stop, measure: impl Fn() -> Option<String> + Send + 'static) -> Self {
        let watch = Self::default();
        let (state, stop) = (Arc::clone(&watch.0), stop.clone());
        thread::spawn(move || {
            while let Ok(mut state) = state.lock()
                && !state.is_over
            {
                state.shortage = measure();
                if state.shortage.is_some() {
                    stop.because_another_failed();
                    return;
                }
                drop(state);
                thread::sleep(INTERVAL);
            }
        });
        watch
    }

    /// Ends the watch.
    ///
    /// # Errors
    /// CannotCreate (73) if the space was too little.
    pub(crate) fn end(&self) -> Result<()> {
        let Ok(mut state) = self.0.lock() else { return Ok(()) };
        state.is_over = true;
        match &state.shortage {
            None => Ok(()),
            Some(why) => Err(Failure::new(Exit::CannotCreate, "restoring beside the live database")
                .because(why.clone())
                .advise("Free some space there, then run the command again")),
        }
    }

    /// Returns the shortage if there was one, which caused `failure` elsewhere, else `failure`.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        self.end().err().unwrap_or(failure)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread holds the other reference, and reads this.
        if let Ok(mut state) = self.0.lock() {
            state.is_over = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::*;

    fn until(condition: impl Fn() -> bool) {
        let began = Instant::now();
        while !condition() {
            assert!(began.elapsed() < Duration::from_secs(30));
            thread::yield_now();
        }
    }

    #[test]
    fn a_shortage_stops_the_job_and_is_its_failure() {
        let (stop, is_full) = (Stop::default(), Arc::new(AtomicBool::new(false)));
        let full = Arc::clone(&is_full);
        let watch = Watch::with(&stop, move || full.load(Ordering::Relaxed).then(|| "full".to_owned()));
        is_full.store(true, Ordering::Relaxed);
        until(|| stop.is_set());
        let failure = watch.explain(Failure::new(Exit::TryLater, "stopped"));
        assert_eq!(failure.exit(), Exit::CannotCreate);
        assert!(failure.to_string().contains("full"), "{failure}");
    }

    #[test]
    fn an_ended_watch_stops_nothing() {
        let (stop, is_full) = (Stop::default(), Arc::new(AtomicBool::new(false)));
        let full = Arc::clone(&is_full);
        let watch = Watch::with(&stop, move || full.load(Ordering::Relaxed).then(|| "full".to_owned()));
        watch.end().unwrap();
        is_full.store(true, Ordering::Relaxed);
        let weak = Arc::downgrade(&watch.0);
        drop(watch);
        // The thread has ended when there is no other reference.
        until(|| weak.strong_count() == 0);
        assert!(!stop.is_set());
    }
}
