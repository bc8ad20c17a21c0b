//! A command that is measured: how long it takes, and how much memory it and all that it starts need.

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

/// How often its processes are looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// How often memory is, which means reading all of /proc.
const EVERY: u32 = 5;

/// What came of it.
pub(crate) struct Ran {
    pub(crate) seconds: f64,
    /// Largest resident sizes of its processes, added up, in MiB.
    pub(crate) peak_mib: f64,
}

/// Runs `command` to its end, and calls `meanwhile` in between.
///
/// # Errors
/// TryLater (75) when stopped, and nothing of it runs on; Unavailable (69) when it fails.
pub(crate) fn measured(
    command: &mut Command,
    name: &str,
    stop: &Stop,
    mut meanwhile: impl FnMut(Duration),
) -> Result<Ran> {
    let doing = || format!("running {name}");
    let said = tempfile::NamedTempFile::new().or_fail_io(doing)?;
    let began = Instant::now();
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.reopen().or_fail_io(doing)?)
        .spawn()
        .or_fail(Exit::Unavailable, doing)?;
    let mut peaks = HashMap::new();
    let mut glances = 0;
    let status = loop {
        if let Some(status) = child.try_wait().or_fail_io(doing)? {
            break status;
        }
        if let Err(stopped) = stop.check() {
            end(&mut child);
            return Err(stopped);
        }
        if glances % EVERY == 0 {
            note_peaks(child.id(), &mut peaks);
        }
        glances += 1;
        meanwhile(began.elapsed());
        thread::sleep(GLANCE);
    };
    let seconds = began.elapsed().as_secs_f64();
    if !status.success() {
        let said = fs::read(said.path()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let cause =
            said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
        return Err(Failure::new(Exit::Unavailable, doing()).because(format!("{status}: {cause}")));
    }
    #[allow(clippy::cast_precision_loss)]
    let peak_mib = peaks.values().sum::<u64>() as f64 / 1024.0;
    Ok(Ran { seconds, peak_mib })
}

/// Ends a child that leads a process group, and all of the group.
pub(crate) fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // It may have ended this moment.
        let _sent = killpg(Pid::from_raw(group), Signal::SIGTERM);
    }
    let _status = child.wait();
}

/// A program of ours beside this one, else on the PATH.
pub(crate) fn ours(name: &str) -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|this| Some(this.parent()?.join(name)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

/// Remembers the largest resident size of each process of `group`, in KiB (VmHWM of proc_pid_status(5)).
fn note_peaks(group: u32, peaks: &mut HashMap<u32, u64>) {
    let Ok(entries) = fs::read_dir("/proc") else { return };
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    for pid in processes {
        // It may be gone by now.
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
    fn what_fails_says_its_last_words_and_memory_counts_all_of_its_processes() {
        let stop = Stop::default();
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo one >&2; echo two >&2; exit 3"]);
        let failure = measured(&mut failing, "a test", &stop, |_| ()).err().unwrap().to_string();
        assert!(failure.contains("running a test") && failure.ends_with("two"), "{failure}");
        // The two end when they have been looked at twice.
        let looked = tempfile::tempdir().unwrap();
        let enough = looked.path().join("enough");
        let mut two = Command::new("sh");
        two.args(["-c", "until [ -e \"$1\" ]; do sleep 0.02; done | cat", "sh"]).arg(&enough);
        let mut glances = 0;
        let ran = measured(&mut two, "a test", &stop, |_| {
            glances += 1;
            if glances > 2 * EVERY {
                fs::write(&enough, "").unwrap();
            }
        })
        .unwrap();
        assert!(ran.seconds >= (GLANCE * 2 * EVERY).as_secs_f64(), "{} s", ran.seconds);
        assert!(ran.peak_mib > 0.0, "{} MiB", ran.peak_mib);
    }
}
