//! Saying how far long work is: `STATUS=` and `EXTEND_TIMEOUT_USEC=` for systemd, a bar on a terminal.
//!
//! It is told by the loops that move bytes, never by a thread of its own: a job that hangs falls silent
//! and systemd's `TimeoutStartSec=` ends it (sd_notify(3)).

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sd_notify::NotifyState;

use crate::text::printable;

/// How often systemd is told, at most.
const EVERY: Duration = Duration::from_secs(1);

/// How long a job may stay silent before systemd ends it, once it has said that it is at work.
const PATIENCE: Duration = Duration::from_secs(300);

/// Progress of one job; shared by its threads.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    to_systemd: bool,
    done: AtomicU64,
    total: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    doing: String,
    began: Instant,
    bytes_before: u64,
    last: Option<Instant>,
}

impl Progress {
    /// With `show`, draws a bar when standard error is a terminal.
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
            told: Mutex::new(Told {
                doing: String::new(),
                began: Instant::now(),
                bytes_before: 0,
                last: None,
            }),
        }
    }

    /// Says how many bytes the whole job will move, as far as is known.
    pub fn expect(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_length(bytes);
        }
    }

    /// Says what is being done from now on.
    pub fn doing(&self, what: impl Into<String>) {
        // `systemctl status` and the terminal show it; it may have the name of a table.
        let what: String = what.into();
        let what = printable(&what);
        if let Some(bar) = &self.bar {
            bar.set_message(what.clone());
        }
        if let Ok(mut told) = self.told.lock() {
            told.doing = what;
            told.began = Instant::now();
            told.bytes_before = self.done.load(Ordering::Relaxed);
            told.last = None;
        }
        self.advance(0);
    }

    /// Counts bytes that were moved, and tells systemd at most once a second.
    pub fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        if !self.to_systemd {
            return;
        }
        // Another thread that holds the lock is telling right now.
        let Ok(mut told) = self.told.try_lock() else { return };
        if told.last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        told.last = Some(Instant::now());
        let status = told.line(done, self.total.load(Ordering::Relaxed));
        let patience = u32::try_from(PATIENCE.as_micros()).unwrap_or(u32::MAX);
        // A lost datagram only makes the status a second older.
        let _sent =
            sd_notify::notify(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(patience)]);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Told {
    /// "dumping nexus_memory.zep_episodic_memory 41 %, 212 MiB, 96 MiB/s"
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

/// Bytes as a person reads them: "212.4 MiB".
pub fn human_bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_says_what_how_far_and_how_much() {
        let told = Told { doing: "dumping a.b".into(), began: Instant::now(), bytes_before: 0, last: None };
        assert_eq!(told.line(41 << 20, 100 << 20), "dumping a.b 41 %, 41.00 MiB");
        assert_eq!(told.line(0, 0), "dumping a.b");
    }
}
