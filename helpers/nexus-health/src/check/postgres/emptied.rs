//! Whether the memory still holds the episodes of its backups. An empty memory answers as well as a full one.

use nexus_backup_set::directory::BackupDirectory;
use nexus_backup_set::name::SetName;
use nexus_backup_set::rotation::{Known, missing_rows_advice};
use nexus_backup_set::size::Size;
use nexus_cli::failure::Result as Outcome;
use nexus_cli::text::{counted, grouped};
use nexus_ledger::rows_gone;
use nexus_postgres::trusted;

use super::session::{Session, SessionError};
use crate::context::Context;
use crate::finding::Finding;
use crate::report::Report;

/// The most rows to count.
const MOST: u64 = 200_000;

/// The planner's estimate of the rows; less than 0 if it has none, no row if the table does not exist.
const ESTIMATE: &str = "SELECT reltuples::float8 FROM pg_catalog.pg_class \
WHERE oid = pg_catalog.to_regclass('nexus_memory.zep_episodic_memory')";

pub(super) fn check(session: &Session, ctx: &Context, report: &mut Report) -> Result<(), SessionError> {
    // The check of the backups reports unreadable backups.
    let Ok(Some((set, before, gone))) = reference(ctx) else { return Ok(()) };
    // More rows than this need not be counted.
    let episodes = episodes(session, before.episodes / 2 + 1)?;
    report.found(finding(set, before, Size { rows: before.rows, episodes, forgotten: gone }));
    Ok(())
}

/// The set to compare with, what it holds, and how many rows were forgotten until now.
fn reference(ctx: &Context) -> Outcome<Option<(SetName, Size, u64)>> {
    let directory = BackupDirectory::at(&ctx.args.backup_dir)?;
    let names: Vec<_> = directory.sets()?.iter().map(|set| set.name).collect();
    let known = Known::read(&directory, &ctx.args.proofs_dir, &names)?;
    let gone = rows_gone(&ctx.args.purge_ledger, None)?;
    Ok(known.reference(&names).map(|(set, size)| (set, size, gone)))
}

/// The number of episodes, up to `enough`. A low estimate of the planner may be out of date.
fn episodes(session: &Session, enough: u64) -> Result<u64, SessionError> {
    let Some(row) = session.rows(ESTIMATE)?.into_iter().next() else { return Ok(0) };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count; below zero is none"
    )]
    let estimate = row.get::<_, f64>(0) as u64;
    let counts = trusted::is_there("nexus_memory", "zep_episodic_memory");
    if estimate >= enough || !session.rows(&counts)?.first().is_some_and(|row| row.get(0)) {
        return Ok(estimate);
    }
    let sql = format!(
        "SELECT count(*) FROM (SELECT FROM nexus_memory.zep_episodic_memory LIMIT {}) AS counted",
        enough.min(MOST)
    );
    let counted = session.rows(&sql)?.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs());
    Ok(if counted < MOST { counted } else { estimate.max(counted) })
}

fn finding(set: SetName, before: Size, now: Size) -> Finding {
    let id = "memory-rows";
    if !now.is_far_smaller(before) {
        return Finding::ok(id, "The memory is not far smaller than its backups.");
    }
    let sentence = format!(
        "The memory holds {}, but set {set} holds {}.",
        counted(now.episodes, "episode"),
        grouped(before.episodes)
    );
    // A purge records rows as gone when their pages are cleaned, some minutes after it deleted them.
    Finding::critical(id, sentence, missing_rows_advice(set)).patient(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn an_emptied_memory_is_critical_and_a_purged_one_is_not() {
        let set: SetName = "000041-20261122T030012Z".parse().unwrap();
        let before = Size { rows: 5004, episodes: 5000, forgotten: 3 };
        let now = |episodes, forgotten| finding(set, before, Size { rows: 5004, episodes, forgotten });
        assert_eq!(now(2501, 3).level, FindingLevel::Ok);
        assert_eq!(now(0, 5003).level, FindingLevel::Ok);
        let emptied = now(0, 3);
        assert_eq!(emptied.level, FindingLevel::Critical);
        assert!(emptied.sentence.contains("holds 0 episodes"), "{}", emptied.sentence);
        assert!(emptied.advice.contains("nexus-restore apply 000041"), "{}", emptied.advice);
    }
}
