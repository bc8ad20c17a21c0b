//! Measures the time of a command, and the memory of it and all its children.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::stop::Stop;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How often the command is checked.
const INTERVAL: Duration = Duration::from_millis(20);

/// Memory is read at every nth check, because that reads all of /proc.
const EVERY: u32 = 5;

/// The result of a command.
pub(crate) struct Ran {
    pub(crate) seconds: f64,
    /// The sum of the largest resident sizes of its processes, in MiB.
    pub(crate) peak_mib: f64,
}

/// Runs `command`, and calls `meanwhile` at each check.
///
/// # Errors
/// TryLater (75) after a signal, which also ends the command; Unavailable (69) if it fails.
pub(crate) fn measured(
    command: &mut Command,
    name: &str,
    stop: &Stop,
    mut meanwhile: impl FnMut(Duration),
) -> Result<Ran> {
    let doing = || format!("running {name}");
    let stderr = tempfile::NamedTempFile::new().or_fail_io(doing)?;
    let began = Instant::now();
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.reopen().or_fail_io(doing)?)
        .spawn()
        .or_fail(Exit::Unavailable, doing)?;
    let mut peaks = HashMap::new();
    let mut checks = 0;
    let status = loop {
        if let Some(status) = child.try_wait().or_fail_io(doing)? {
            break status;
        }
        if let Err(stopped) = stop.check() {
            end(&mut child);
            return Err(stopped);
        }
        if checks % EVERY == 0 {
            record_peaks(child.id(), &mut peaks);
        }
        checks += 1;
        meanwhile(began.elapsed());
        thread::sleep(INTERVAL);
    };
    let seconds = began.elapsed().as_secs_f64();
    if !status.success() {
        let stderr = fs::read(stderr.path()).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr);
        let cause =
            stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no error message").to_owned();
        return Err(Failure::new(Exit::Unavailable, doing()).because(format!("{status}: {cause}")));
    }
    #[allow(clippy::cast_precision_loss)]
    let peak_mib = peaks.values().sum::<u64>() as f64 / 1024.0;
    Ok(Ran { seconds, peak_mib })
}

/// Ends a child that leads a process group, and the whole group.
pub(crate) fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // It may have exited already.
        let _sent = killpg(Pid::from_raw(group), Signal::SIGTERM);
    }
    let _status = child.wait();
}

/// Returns the path of a NEXUS program beside this one, else its name, for the PATH.
pub(crate) fn ours(name: &str) -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|this| Some(this.parent()?.join(name)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

/// Records the largest resident size of each process of `group`, in KiB (VmHWM of
/// proc_pid_status(5)).
fn record_peaks(group: u32, peaks: &mut HashMap<u32, u64>) {
    let Ok(entries) = fs::read_dir("/proc") else { return };
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    for pid in processes {
        // It may have exited already.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let its_group =
            stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(2)?.parse::<u32>().ok());
        if its_group != Some(group) {
            continue;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()) {
            let peak = peaks.entry(pid).or_default();
            *peak = kib.max(*peak);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_last_error_line_and_memory_counts_all_processes() {
        let stop = Stop::default();
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo one >&2; echo two >&2; exit 3"]);
        let failure = measured(&mut failing, "a test", &stop, |_| ()).err().unwrap().to_string();
        assert!(failure.contains("running a test") && failure.ends_with("two"), "{failure}");
        // The two processes exit after their memory has been read twice.
        let directory = tempfile::tempdir().unwrap();
        let enough = directory.path().join("enough");
        let mut two = Command::new("sh");
        two.args(["-c", "until [ -e \"$1\" ]; do sleep 0.02; done | cat", "sh"]).arg(&enough);
        let mut checks = 0;
        let ran = measured(&mut two, "a test", &stop, |_| {
            checks += 1;
            if checks > 2 * EVERY {
                fs::write(&enough, "").unwrap();
            }
        })
        .unwrap();
        assert!(ran.seconds >= (INTERVAL * 2 * EVERY).as_secs_f64(), "{} s", ran.seconds);
        assert!(ran.peak_mib > 0.0, "{} MiB", ran.peak_mib);
    }
}
