//! The report of a purge, for people, programs and the journal.

use nexus_cli::journal::message_id;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::{counted, grouped};
use serde::Serialize;

/// What a purge has done.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Purged {
    /// Rows that were deleted.
    pub(crate) rows: u64,
    /// Rows that the table had.
    pub(crate) of: u64,
    /// Bytes of the deleted rows, now free for new ones.
    pub(crate) bytes: u64,
    /// Bytes returned to the file system.
    pub(crate) given_back: u64,
    /// Bytes of the table's free space that were overwritten.
    pub(crate) overwritten: u64,
    /// Indexes that were rebuilt.
    pub(crate) reindexed: u64,
    /// Rows of other tables that referred to deleted rows.
    pub(crate) referring: Vec<Referred>,
    /// Copies in Redis that were deleted.
    pub(crate) copies: u64,
    /// Keys of Redis that had no time to live and got one.
    pub(crate) keys_given_an_end: u64,
    /// Decisions that this run has recorded.
    pub(crate) decisions: u64,
    /// Earlier decisions that it has carried out.
    pub(crate) finished: u64,
    /// Recall of the vector index before the purge, in percent.
    pub(crate) recall_before: Option<f64>,
    /// Recall after the purge, in percent.
    pub(crate) recall_after: Option<f64>,
    /// Microseconds that deleting took, pauses included.
    pub(crate) deleting_usec: u64,
    /// Microseconds that the run took.
    pub(crate) usec: u64,
    /// Warnings.
    pub(crate) notes: Vec<String>,
}

/// What happened to rows of one other table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Referred {
    pub(crate) table: String,
    /// Rows that were deleted.
    pub(crate) deleted: u64,
    /// Rows whose reference was set to NULL.
    pub(crate) emptied: u64,
}

impl Purged {
    /// Logs the report.
    pub(crate) fn log(&self) {
        for note in &self.notes {
            log::warn!("{note}");
        }
        log::info!(
            MESSAGE_ID = message_id::PURGE_DONE,
            NEXUS_JOB = "purge",
            NEXUS_ROWS = self.rows,
            NEXUS_BYTES = self.bytes,
            NEXUS_USEC = self.usec,
            NEXUS_COPIES = self.copies,
            NEXUS_DECISIONS = self.decisions + self.finished;
            "{}", self.summary()
        );
    }

    /// Returns one line: "forgot 1 200 rows …"
    fn summary(&self) -> String {
        if self.rows == 0 && self.copies == 0 && self.keys_given_an_end == 0 {
            let table = counted(self.of, "row");
            return if self.finished == 0 {
                format!("nothing to forget; the table has {table}")
            } else {
                format!(
                    "cleaned up after {} ({} of free space overwritten), nothing else to forget; the table has {table}",
                    counted(self.finished, "earlier decision"),
                    human_bytes(self.overwritten)
                )
            };
        }
        let mut line = format!(
            "forgot {} ({} freed, {} overwritten, {} returned to the disk)",
            counted(self.rows, "row"),
            human_bytes(self.bytes),
            human_bytes(self.overwritten),
            human_bytes(self.given_back)
        );
        if let Some(per_second) = (self.rows * 1_000_000).checked_div(self.deleting_usec) {
            line.push_str(&format!(", {} rows/s", grouped(per_second)));
        }
        if self.copies > 0 {
            line.push_str(&format!(", {} in Redis", counted(self.copies, "copy")));
        }
        if self.keys_given_an_end > 0 {
            line.push_str(&format!(", {} given a time to live", counted(self.keys_given_an_end, "key")));
        }
        if let (Some(before), Some(after)) = (self.recall_before, self.recall_after) {
            line.push_str(&format!(", recall@10 {before:.0} % before, {after:.0} % after"));
        }
        line.push_str(&format!(", {}.{} s", self.usec / 1_000_000, self.usec / 100_000 % 10));
        line
    }
}
