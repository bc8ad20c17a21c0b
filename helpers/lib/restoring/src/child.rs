//! Waiting for a program that was started, without being deaf to a stop.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::stop::Stop;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often it is looked at whether it has ended.
const GLANCE: Duration = Duration::from_millis(50);

/// Waits until `child` ends by itself; a stop is passed on to it as `signal`.
///
/// # Errors
/// TryLater (75) when stopped; the child has ended then.
pub fn wait(child: &mut Child, signal: Signal, stop: &Stop) -> Result<ExitStatus> {
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait().or_fail_io(|| "waiting for a program to end")? {
            return stop.check().map(|()| status);
        }
        if stop.is_set() && !told {
            told = true;
            if let Ok(id) = i32::try_from(child.id()) {
                // It may have ended this moment.
                let _sent = kill(Pid::from_raw(id), signal);
            }
        }
        thread::sleep(GLANCE);
    }
}
