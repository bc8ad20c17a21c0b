//! Reports the progress of long work: `STATUS=` and `EXTEND_TIMEOUT_USEC=` to systemd, a bar on a
//! terminal.
//!
//! The loops that move bytes report it, never a separate thread: a job that hangs stops reporting,
//! and systemd's `TimeoutStartSec=` ends it (sd_notify(3)).

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sd_notify::NotifyState;

use crate::text::printable;

/// The shortest time between two reports to systemd.
const EVERY: Duration = Duration::from_secs(1);

/// How long systemd waits after a report before it ends a silent job.
const PATIENCE: Duration = Duration::from_secs(300);

/// The progress of one job. Its threads share it.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    to_systemd: bool,
    done: AtomicU64,
    total: AtomicU64,
    report: Mutex<Report>,
}

#[derive(Debug)]
struct Report {
    doing: String,
    began: Instant,
    bytes_before: u64,
    last: Option<Instant>,
}

impl Progress {
    /// Creates it. With `show`, draws a bar if standard error is a terminal.
    pub fn new(show: bool) -> Self {
        let bar = (show && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::no_length();
            let style =
                ProgressStyle::with_template("{wide_msg} {bar:24} {bytes:>10} {binary_bytes_per_sec:>12}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self {
            bar,
            to_systemd: std::env::var_os("NOTIFY_SOCKET").is_some(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            report: Mutex::new(Report {
                doing: String::new(),
                began: Instant::now(),
                bytes_before: 0,
                last: None,
            }),
        }
    }

    /// Sets the expected number of bytes of the whole job.
    pub fn expect(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_length(bytes);
        }
    }

    /// Sets the current action.
    pub fn doing(&self, what: impl Into<String>) {
        // `systemctl status` and the terminal show it, and it may contain the name of a table.
        let what: String = what.into();
        let what = printable(&what);
        if let Some(bar) = &self.bar {
            bar.set_message(what.clone());
        }
        if let Ok(mut report) = self.report.lock() {
            report.doing = what;
            report.began = Instant::now();
            report.bytes_before = self.done.load(Ordering::Relaxed);
            report.last = None;
        }
        self.advance(0);
    }

    /// Counts moved bytes and reports to systemd, at most once a second.
    pub fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        if !self.to_systemd {
            return;
        }
        // If another thread holds the lock, it reports now.
        let Ok(mut report) = self.report.try_lock() else { return };
        if report.last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        report.last = Some(Instant::now());
        let status = report.line(done, self.total.load(Ordering::Relaxed));
        let patience = u32::try_from(PATIENCE.as_micros()).unwrap_or(u32::MAX);
        // If the datagram is lost, the status is a second older.
        let _sent =
            sd_notify::notify(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(patience)]);
    }

    /// Clears the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Report {
    /// Returns a line such as "dumping public.notes 41 %, 212 MiB, 96 MiB/s".
    fn line(&self, done: u64, total: u64) -> String {
        let mut line = self.doing.clone();
        if let Some(percent) = (done * 100).checked_div(total) {
            line.push_str(&format!(" {} %", percent.min(99)));
        }
        if done > 0 {
            line.push_str(&format!(", {}", human_bytes(done)));
        }
        let moved = done.saturating_sub(self.bytes_before);
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if millis >= 1000 && moved > 0 {
            line.push_str(&format!(", {}/s", human_bytes(moved.saturating_mul(1000) / millis)));
        }
        line
    }
}

/// Formats a number of bytes for people: "212.4 MiB".
pub fn human_bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_has_the_action_the_percentage_and_the_bytes() {
        let report =
            Report { doing: "dumping a.b".into(), began: Instant::now(), bytes_before: 0, last: None };
        assert_eq!(report.line(41 << 20, 100 << 20), "dumping a.b 41 %, 41.00 MiB");
        assert_eq!(report.line(0, 0), "dumping a.b");
    }
}
