//! Ends the process when one of its threads panics.

use std::panic;
use std::process;

/// Makes a panic in any thread print its message and end the whole process with SIGABRT. A helper
/// that went on without that thread could report a false success, or be a daemon that does no work.
/// systemd sees a failed unit, and the next run of the job sweeps its leftovers.
pub(crate) fn abort_on_panic() {
    let say = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        say(panicked);
        process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{self, Command};
    use std::{env, thread};

    use super::abort_on_panic;

    /// Set in the process that panics.
    const PANICS: &str = "NEXUS_TEST_PANICS";

    #[test]
    fn a_panic_in_a_thread_ends_the_process() {
        if env::var_os(PANICS).is_some() {
            abort_on_panic();
            let _ended = thread::spawn(|| panic!("expected by the test")).join();
            // Reached only if the process survives.
            process::exit(0);
        }
        let this = env::current_exe().expect("the test's own program");
        let ended = Command::new(this)
            .args(["--exact", "panics::tests::a_panic_in_a_thread_ends_the_process"])
            .env(PANICS, "1")
            .output()
            .expect("the test's own program runs");
        assert_eq!(ended.status.signal(), Some(6), "{}", String::from_utf8_lossy(&ended.stdout));
    }
}
