//! Waits for a child process and passes on a stop.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::stop::Stop;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The interval between two checks of the child.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until `child` ends. A stop sends it `signal`.
///
/// # Errors
/// TryLater (75) when stopped, after the child has ended.
pub fn wait(child: &mut Child, signal: Signal, stop: &Stop) -> Result<ExitStatus> {
    let mut signalled = false;
    loop {
        if let Some(status) = child.try_wait().or_fail_io(|| "waiting for a program to end")? {
            return stop.check().map(|()| status);
        }
        if stop.is_set() && !signalled {
            signalled = true;
            if let Ok(id) = i32::try_from(child.id()) {
                // The child may have ended in the meantime.
                let _sent = kill(Pid::from_raw(id), signal);
            }
        }
        thread::sleep(POLL_INTERVAL);
    }
}
