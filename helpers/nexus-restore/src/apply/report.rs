//! The report of a restore: for people, programs and the journal.

use nexus_backup_set::proof::Step;
use nexus_cli::failure::Result;
use nexus_cli::journal::message_id;
use nexus_cli::output;
use nexus_cli::progress::human_bytes;
use nexus_cli::text::{columns, counted, grouped, moment, printable};
use nexus_ledger::forgetting::Touched;
use nexus_restoring::compare::Compared;
use serde::Serialize;

use crate::apply::Restore;
use crate::apply::build::{Built, Served};

/// The result of a restore.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    set: String,
    taken: String,
    database: String,
    /// Name of the replaced database.
    kept: Option<String>,
    /// Name of the set that holds the replaced database.
    safety_backup: Option<String>,
    compared: Compared,
    /// Rows that had been forgotten since the set was taken, and were forgotten again.
    forgotten: u64,
    /// Rows of other tables that referred to those.
    referring: Vec<Referred>,
    /// Where Redis's old data is kept; `None` if Redis was not restored.
    redis: Option<String>,
    /// Time until the swap, in microseconds, if indexes were built after it.
    served_usec: Option<u64>,
    /// Number of indexes built after the swap.
    built: u64,
    usec: u64,
    steps: Vec<Step>,
    notes: Vec<String>,
}

/// What happened to rows of one other table.
#[derive(Clone, Debug, Serialize)]
struct Referred {
    table: String,
    deleted: u64,
    emptied: u64,
}

impl Report {
    /// Makes the report of a completed restore.
    pub(crate) fn of(
        restore: Restore<'_>,
        built: Built,
        redis: Option<String>,
        served: Option<Served>,
    ) -> Self {
        Self {
            set: restore.making.set.name.to_string(),
            taken: moment(restore.making.manifest.taken),
            database: restore.target,
            kept: built.kept,
            safety_backup: built.safety_backup,
            compared: built.compared,
            forgotten: built.forgotten.rows,
            referring: built
                .forgotten
                .referring
                .into_iter()
                .map(|(table, Touched { deleted, emptied })| Referred { table, deleted, emptied })
                .collect(),
            redis,
            served_usec: served.as_ref().map(|served| served.usec),
            built: served.map_or(0, |served| served.indexes),
            usec: restore.making.steps.iter().map(|step| step.usec).sum(),
            steps: restore.making.steps,
            notes: restore.making.notes,
        }
    }

    /// Writes it to the journal.
    pub(crate) fn log(&self) {
        log::info!(
            MESSAGE_ID = message_id::RESTORE_DONE,
            NEXUS_JOB = "restore",
            NEXUS_BACKUP = self.set.as_str(),
            NEXUS_ROWS = self.compared.rows,
            NEXUS_BYTES = self.compared.bytes,
            NEXUS_USEC = self.usec,
            NEXUS_FORGOTTEN = self.forgotten;
            "backup {} is restored as database {}: {} in {}, all equal{}, {}",
            self.set,
            printable(&self.database),
            counted(self.compared.rows, "row"),
            counted(self.compared.tables, "table"),
            if self.forgotten > 0 { format!("; then {} forgotten again", counted(self.forgotten, "row")) } else { String::new() },
            seconds(self.usec)
        );
    }

    /// Prints it on standard output.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        if json { output::json(self) } else { output::print(&self.text()) }
    }

    fn text(&self) -> String {
        let compared = &self.compared;
        let mut lines: Vec<Vec<String>> = vec![vec!["compared, all equal".into(), "count".into()]];
        for (what, count) in [
            ("tables", compared.tables),
            ("rows", compared.rows),
            ("sequences", compared.sequences),
            ("large objects", compared.large_objects),
        ] {
            lines.push(vec![what.to_owned(), grouped(count)]);
        }
        lines.push(vec!["bytes of rows".to_owned(), human_bytes(compared.bytes)]);
        let mut text = format!("\n{}\n", columns(&lines));

        let mut lines = vec![vec!["step".to_owned(), "time".to_owned()]];
        lines.extend(self.steps.iter().map(|step| vec![step.name.clone(), seconds(step.usec)]));
        lines.push(vec!["total".to_owned(), seconds(self.usec)]);
        text.push_str(&columns(&lines));

        if let Some(usec) = self.served_usec {
            text.push_str(&format!(
                "\nPrograms could use the restored database after {}; the vector indexes were built after that.\n",
                seconds(usec)
            ));
        }
        for note in &self.notes {
            text.push_str(&format!("\nNote: {}\n", printable(note)));
        }
        if self.forgotten > 0 && self.kept.is_some() {
            text.push_str(
                "\nThe rows that were forgotten again are deleted, but stay in the tables' files until the next nightly purge.\n\
                 To clean the files now:  systemctl start nexus-purge\n",
            );
        }
        if self.kept.is_some() {
            // pg_dump omits LEAKPROOF marks, and an older set lacks newer migrations.
            text.push_str(
                "\nTo bring the restored database up to date, run:  systemctl reload nexus-stack\n",
            );
        }
        if let Some(redis) = &self.redis {
            text.push_str(&format!(
                "\nRedis is restored too. Its old data is kept in its volume: {}\n",
                printable(redis)
            ));
        }
        if let Some(set) = &self.safety_backup {
            text.push_str(&format!("\nThe replaced database is backed up as set {}.\n", printable(set)));
        }
        if let Some(kept) = &self.kept {
            text.push_str(&kept_text(kept));
        }
        text
    }
}

/// Says how to swap back to `kept`, and how to remove it.
pub(crate) fn kept_text(kept: &str) -> String {
    let kept = printable(kept);
    format!(
        "\nThe replaced database is kept as \"{kept}\".\n\
         To swap back:             nexus-restore undo\n\
         To remove it for good:    nexus-restore drop-kept '{}'\n",
        kept.replace('\'', r"'\''")
    )
}

/// Formats a duration: `12.3 s`.
fn seconds(usec: u64) -> String {
    format!("{}.{} s", usec / 1_000_000, usec / 100_000 % 10)
}
