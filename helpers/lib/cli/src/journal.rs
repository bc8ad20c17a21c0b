//! Logs to the journal with fields when a unit runs the helper, and to standard error when a person
//! does.

mod drain;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::JournalLog;

use crate::panics;
use crate::text::printable;

/// MESSAGE_IDs of the events that units/catalog explains (`journalctl -x`).
pub mod message_id {
    /// A backup set was published.
    pub const BACKUP_DONE: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a60";
    /// A backup failed; older sets are untouched.
    pub const BACKUP_FAILED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a61";
    /// Rotation removed a set.
    pub const SET_ROTATED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a62";
    /// The leftovers of an earlier, killed run were removed.
    pub const PARTIAL_SWEPT: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a63";
    /// A set was restored.
    pub const RESTORE_DONE: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a64";
    /// A restore failed; the live database is untouched.
    pub const RESTORE_FAILED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a65";
    /// A restore test has proven a set.
    pub const TEST_PROVEN: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a66";
    /// A restore test failed.
    pub const TEST_FAILED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a67";
    /// The newest set lacks rows that an older one holds; rotation keeps the sets that hold them.
    pub const ROWS_MISSING: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a6e";
    /// A backup set lacks Redis, which could not be read.
    pub const BACKUP_WITHOUT_REDIS: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a68";
    /// The server has databases or settings that no set holds.
    pub const BACKUP_LEAVES_OUT: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a69";
    /// A backup set holds functions that a restore cannot call without a search_path.
    pub const BACKUP_NEEDS_SEARCH_PATH: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a6a";
    /// A purge has run.
    pub const PURGE_DONE: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a70";
    /// A purge failed.
    pub const PURGE_FAILED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a71";
    /// A purge stopped: it would have removed more than an unattended run may.
    pub const PURGE_TOO_MUCH: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a72";
    /// A backup set was removed because it contained forgotten rows.
    pub const SET_EXPUNGED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a73";
    /// A restore forgot again the rows that the ledger lists.
    pub const REPLAYED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a74";
    /// One episode was forgotten at once, because a program asked.
    pub const EPISODE_FORGOTTEN: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a75";
    /// An episode was not forgotten, because programs have reached the hourly limit.
    pub const EPISODE_REFUSED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a76";
    /// A unit has failed.
    pub const ALERT_FAILED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a80";
    /// A unit still fails, a day after the last alert.
    pub const ALERT_STILL: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a81";
    /// A unit that had failed is well again.
    pub const ALERT_OVER: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a82";
    /// An alert could not be sent and is kept.
    pub const ALERT_KEPT: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a83";
    /// An alert could not be sent for a week and was given up.
    pub const ALERT_GIVEN_UP: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a84";
    /// nexus-health has found a problem, or a problem is worse.
    pub const PROBLEM_FOUND: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a85";
    /// A problem persists, a day after the last alert.
    pub const PROBLEM_LASTS: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a86";
    /// A problem is over.
    pub const PROBLEM_OVER: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a87";
    /// A check is well again.
    pub const HEALTH_WELL: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a90";
    /// A check warns: it becomes critical if nobody acts.
    pub const HEALTH_WARNING: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a91";
    /// A check is critical.
    pub const HEALTH_CRITICAL: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a92";
    /// A check could not run.
    pub const HEALTH_UNKNOWN: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a93";
    /// A repair has begun.
    pub const HEALTH_MENDS: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a94";
    /// A repair failed.
    pub const HEALTH_NOT_MENDED: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a95";
    /// The results could not be written to their files.
    pub const HEALTH_NOT_TOLD: &str = "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a96";
}

/// Makes every line printable before the inner logger writes it: a line may quote untrusted text.
struct Printable<L>(L);

impl<L: Log> Log for Printable<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = printable(&record.args().to_string());
            self.0.log(&record.to_builder().args(format_args!("{line}")).build());
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Writes plain lines to standard error, for terminals and pipes. It also sends each line with a
/// MESSAGE_ID to the journal, which then records what a person did by hand too.
struct PlainLogger {
    journal: Option<JournalLog>,
}

impl Log for PlainLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // One write keeps the line whole. `eprintln!` would panic on a closed pipe or a full disk,
        // and a lost line must not end the job.
        let _unheard = std::io::stderr().write_all(format!("{}\n", record.args()).as_bytes());
        if let Some(journal) = &self.journal
            && record.key_values().get("MESSAGE_ID".into()).is_some()
        {
            journal.log(record);
        }
    }

    fn flush(&self) {}
}

/// The socket of journald (systemd-journald.service(8)).
const SOCKET: &str = "/run/systemd/journal/socket";
/// The longest time that a process waits at its end for journald. Usually it waits a fraction of a
/// millisecond.
const BEHIND: Duration = Duration::from_secs(5);

/// A guard that `main` holds until it returns. On drop it waits until journald has read the last
/// lines, so that they appear under the unit.
#[must_use = "if it is dropped at once, the last lines may be lost"]
pub struct Journal {
    by_unit: bool,
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.by_unit {
            // The lines are sent in any case, and there is nowhere else to report.
            let _behind = drain::wait(Path::new(SOCKET), BEHIND);
        }
    }
}

/// Sets up the logger of this process; `helper` is its name in the journal. From here on a panic
/// ends the process.
///
/// Without a reachable journal the lines go to standard error.
pub fn init(helper: &str) -> Journal {
    panics::abort_on_panic();
    log::set_max_level(LevelFilter::Info);
    let journal = JournalLog::new().ok().map(|log| log.with_syslog_identifier(helper.to_owned()));
    let by_unit = journal.is_some() && systemd_journal_logger::connected_to_journal();
    // Fails only when a logger is already set, which then stays in use.
    let _already_there = match journal {
        Some(journal) if by_unit => log::set_boxed_logger(Box::new(Printable(journal))),
        journal => log::set_boxed_logger(Box::new(Printable(PlainLogger { journal }))),
    };
    Journal { by_unit }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Records each line.
    struct Recorder<'a>(&'a Mutex<Vec<String>>);

    impl Log for Recorder<'_> {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            let id = record.key_values().get("MESSAGE_ID".into()).map(|id| id.to_string());
            let line = format!("{} {} {}", record.level(), record.args(), id.unwrap_or_default());
            self.0.lock().unwrap().push(line);
        }

        fn flush(&self) {}
    }

    #[test]
    fn a_line_is_printable_and_keeps_its_fields() {
        let lines = Mutex::default();
        let fields = [("MESSAGE_ID", "5f1d")];
        let mut builder = Record::builder();
        let record = builder.level(log::Level::Warn).key_values(&fields);
        Printable(Recorder(&lines))
            .log(&record.args(format_args!("table {}", "\u{1b}]0;x\u{7}\nroot: all is well")).build());
        assert_eq!(*lines.lock().unwrap(), [r"WARN table \u{1b}]0;x\u{7}\nroot: all is well 5f1d"]);
    }
}
