//! What becomes of a process when one of its threads panics.

use std::panic;
use std::process;

/// From here on a panic in any thread is said on standard error and ends the whole process with SIGABRT: a helper that
/// goes on with half of its threads would be a success that is none, or a daemon that only seems to live. systemd sees a
/// failed unit, and what the job left is swept by its next run.
pub fn abort_on_panic() {
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

    /// Set in the process that is to panic.
    const PANICS: &str = "NEXUS_TEST_PANICS";

    #[test]
    fn a_panic_in_a_thread_ends_the_process_though_nobody_asks_for_the_thread() {
        if env::var_os(PANICS).is_some() {
            abort_on_panic();
            let _ended = thread::spawn(|| panic!("as the test wants it")).join();
            // What a process that survived would go on to do.
            process::exit(0);
        }
        let this = env::current_exe().expect("the test's own program");
        let ended = Command::new(this)
            .args([
                "--exact",
                "panics::tests::a_panic_in_a_thread_ends_the_process_though_nobody_asks_for_the_thread",
            ])
            .env(PANICS, "1")
            .output()
            .expect("the test's own program runs");
        assert_eq!(ended.status.signal(), Some(6), "{}", String::from_utf8_lossy(&ended.stdout));
    }
}
