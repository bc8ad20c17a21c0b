//! Stops if more would be deleted than an unattended run may delete.

use nexus_cli::confirm::confirm;
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_cli::journal::message_id;
use nexus_cli::text::counted;
use nexus_ledger::{Keys, Line, forgetting};

use super::Job;
use crate::decisions;
use crate::survey::Survey;

impl Job<'_> {
    /// Stops if more would be deleted than an unattended run may delete; returns whether a person agreed.
    pub(super) fn guard(&self, survey: &Survey) -> Result<bool> {
        let what = format!(
            "{} of {} ({} %) would be forgotten",
            counted(survey.rows, "row"),
            self.table,
            survey.share()
        );
        if self.args.all {
            return confirm(&format!("{what}."), self.args.yes).map(|()| true);
        }
        if self.args.yes || survey.rows * 100 <= survey.of * self.args.limits.max_share {
            return Ok(self.args.yes);
        }
        if self.args.names_rows() && std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            return confirm(&format!("{what}."), false).map(|()| true);
        }
        let advice = "See it with nexus-purge --dry-run, and if it is right: nexus-purge --yes";
        Err(self.too_much(&what, survey.rows, advice))
    }

    /// Like [`Self::guard`], for `old_lines` of the ledger. A killed run has measured its own decisions, but nothing has measured
    /// those of a ledger that a person copied, or that came from another machine.
    pub(super) fn guard_ledger(&self, keys: &Keys, old_lines: &[Line]) -> Result<()> {
        let measured = decisions::to_measure(self.args, old_lines);
        if self.args.yes || measured.is_empty() {
            return Ok(());
        }
        for share in forgetting::shares(&self.forgetting(keys, &[]), &measured)? {
            if share.rows * 100 <= share.of * self.args.limits.max_share {
                continue;
            }
            let percent = (share.rows * 100).div_ceil(share.of.max(1));
            let what = format!(
                "decisions that are already in the ledger would delete {} of {} ({percent} %)",
                counted(share.rows, "row"),
                share.table
            );
            if self.args.replay && std::io::IsTerminal::is_terminal(&std::io::stdin()) {
                confirm(&format!("{what}."), false)?;
                continue;
            }
            let replay = if self.args.replay { " --replay" } else { "" };
            let advice = format!(
                "See them with nexus-purge --ledger, and if they are right: nexus-purge{replay} --yes"
            );
            return Err(self.too_much(&what, share.rows, &advice));
        }
        Ok(())
    }

    fn too_much(&self, what: &str, rows: u64, advice: &str) -> Failure {
        log::error!(MESSAGE_ID = message_id::PURGE_TOO_MUCH, NEXUS_JOB = "purge", NEXUS_ROWS = rows; "{what}: that is more than one run may delete");
        Failure::new(Exit::TryLater, "purging")
            .because(format!(
                "{what}, more than NEXUS_PURGE_MAX_SHARE={} %; nothing was forgotten",
                self.args.limits.max_share
            ))
            .advise(advice)
    }
}
