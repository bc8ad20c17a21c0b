//! Vector indexes that a restore has deferred. Until they are built, vector search scans every row.

use nexus_restoring::unbuilt;

use super::count_of;
use super::session::{Session, SessionError};
use crate::finding::Finding;
use crate::report::Report;

/// How many indexes are left, whether a restore is building them, and the progress of the current one in percent.
const LEFT: &str = "\
SELECT (SELECT count(*) FROM nexus_restore.unbuilt WHERE index IS NOT NULL)::float8, \
 EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND application_name = 'nexus-restore'), \
 (SELECT max(100 * greatest(tuples_done::float8 / nullif(tuples_total, 0), blocks_done::float8 / nullif(blocks_total, 0))) \
   FROM pg_catalog.pg_stat_progress_create_index WHERE datname = current_database())";

pub(super) fn check(session: &Session, report: &mut Report) -> Result<(), SessionError> {
    if !session.rows(&unbuilt::is_there())?.first().is_some_and(|row| row.get(0)) {
        report.found(finding(0.0, false, None));
    } else if let Some(row) = session.rows(LEFT)?.first() {
        report.found(finding(row.get(0), row.get(1), row.get(2)));
    }
    Ok(())
}

/// Reports indexes that nothing builds. The owner who let the restore serve early expects that building takes a while.
fn finding(left: f64, is_building: bool, percent: Option<f64>) -> Finding {
    let id = "restore-indexes";
    if is_building {
        let far = percent.map_or_else(String::new, |percent| format!(", the current one at {percent:.0} %"));
        return Finding::ok(
            id,
            format!(
                "A restore is building vector indexes ({left} left{far}): until they are built, searches by meaning are exact but \
                 slower."
            ),
        );
    }
    if left < 1.0 {
        Finding::ok(id, "No restore has left an index to build.")
    } else {
        Finding::warning(
            id,
            format!(
                "A restore ended before it had built {}: searches by meaning are exact but slow.",
                count_of(left, "vector index")
            ),
            "Build the indexes while programs continue to work: nexus-restore finish",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn an_index_that_nothing_builds_is_a_warning() {
        assert_eq!(finding(0.0, false, None).level, FindingLevel::Ok);
        let building = finding(1.0, true, Some(41.4));
        assert_eq!(building.level, FindingLevel::Ok);
        assert!(building.sentence.contains("41 %"), "{}", building.sentence);
        let left = finding(1.0, false, None);
        assert_eq!(left.level, FindingLevel::Warning);
        assert!(left.advice.contains("nexus-restore finish"));
    }
}
