//! What a purge has done, for people, programs and the journal.

use nexus_cli::journal::message_id;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::{counted, grouped};
use serde::Serialize;

/// What was done.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Purged {
    /// Rows that went.
    pub(crate) rows: u64,
    /// Rows the table had.
    pub(crate) of: u64,
    /// Bytes that the rows took: room for new ones now.
    pub(crate) bytes: u64,
    /// Bytes that the file system has again.
    pub(crate) given_back: u64,
    /// Bytes of the table's free room that were overwritten.
    pub(crate) overwritten: u64,
    /// Indexes that were written anew.
    pub(crate) reindexed: u64,
    /// Rows of other tables that referred to deleted rows.
    pub(crate) referring: Vec<Referred>,
    /// Copies in Redis that went.
    pub(crate) copies: u64,
    /// Keys of Redis that would have lived for ever and were given an end.
    pub(crate) keys_given_an_end: u64,
    /// Decisions that this run wrote.
    pub(crate) decisions: u64,
    /// Decisions of earlier runs that it carried out.
    pub(crate) finished: u64,
    /// Recall of the vector index in percent.
    pub(crate) recall_before: Option<f64>,
    /// The same, after.
    pub(crate) recall_after: Option<f64>,
    /// Microseconds that deleting took, rests included.
    pub(crate) deleting_usec: u64,
    /// Microseconds the whole run took.
    pub(crate) usec: u64,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// What happened to rows of one other table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Referred {
    /// The table.
    pub(crate) table: String,
    /// Rows that went too.
    pub(crate) deleted: u64,
    /// Rows that stay, without the reference.
    pub(crate) emptied: u64,
}

impl Purged {
    /// Tells the journal.
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
            "{}", self.line()
        );
    }

    /// "forgot 1 200 rows …"
    fn line(&self) -> String {
        if self.rows == 0 && self.copies == 0 && self.keys_given_an_end == 0 {
            let table = counted(self.of, "row");
            return if self.finished == 0 {
                format!("nothing to forget; the table has {table}")
            } else {
                format!(
                    "cleaned up after {} ({} of free room overwritten), and nothing else to forget; the table has {table}",
                    counted(self.finished, "earlier decision"),
                    human_bytes(self.overwritten)
                )
            };
        }
        let mut line = format!(
            "forgot {} ({} of room, {} overwritten, {} given back to the disk)",
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
            line.push_str(&format!(", {} given an end", counted(self.keys_given_an_end, "key")));
        }
        if let (Some(before), Some(after)) = (self.recall_before, self.recall_after) {
            line.push_str(&format!(", recall@10 {before:.0} % before and {after:.0} % after"));
        }
        line.push_str(&format!(", {}.{} s", self.usec / 1_000_000, self.usec / 100_000 % 10));
        line
    }
}
