//! Ends a restore before the living server finds no space for its log.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::stop::Stop;

use crate::apply::space::Room;

/// How often it is measured. A restore can write some hundred MiB in that time.
const GLANCE: Duration = Duration::from_millis(200);

/// Measures the free space until the load ends, and stops the job if there is too little.
#[derive(Debug, Default)]
pub(crate) struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    is_over: bool,
    too_little: Option<String>,
}

impl Watch {
    /// Begins to measure `room`.
    pub(crate) fn begin(room: Option<Room>, stop: &Stop) -> Self {
        Self::with(stop, move || room.as_ref().and_then(Room::too_little))
    }

    fn with(stop: &Stop, measure: impl Fn() -> Option<String> + Send + 'static) -> Self {
        let watch = Self::default();
        let (seen, stop) = (Arc::clone(&watch.0), stop.clone());
        thread::spawn(move || {
            while let Ok(mut seen) = seen.lock()
                && !seen.is_over
            {
                seen.too_little = measure();
                if seen.too_little.is_some() {
                    stop.because_another_failed();
                    return;
                }
                drop(seen);
                thread::sleep(GLANCE);
            }
        });
        watch
    }

    /// Ends it.
    ///
    /// # Errors
    /// CannotCreate (73) when it was too little.
    pub(crate) fn end(&self) -> Result<()> {
        let Ok(mut seen) = self.0.lock() else { return Ok(()) };
        seen.is_over = true;
        match &seen.too_little {
            None => Ok(()),
            Some(why) => Err(Failure::new(Exit::CannotCreate, "restoring beside the living database")
                .because(why.clone())
                .advise("Free some space there and run it again")),
        }
    }

    /// `failure`, or its cause: a job that was stopped here fails in other places.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        self.end().err().unwrap_or(failure)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread holds the other one.
        if let Ok(mut seen) = self.0.lock() {
            seen.is_over = true;
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
    fn too_little_room_stops_the_job_and_is_what_it_failed_of() {
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
    fn once_it_has_ended_nothing_is_stopped() {
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
