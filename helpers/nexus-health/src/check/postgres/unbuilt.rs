//! Vector indexes that a restore which served early has still to build: until then searches by meaning compare with every row.

use nexus_restoring::unbuilt;

use super::session::{Session, Trouble};
use crate::finding::Finding;
use crate::look::Look;

/// How many indexes are left, whether a restore is at them, and how far it is with the one that it builds, in percent.
const LEFT: &str = "\
SELECT (SELECT count(*) FROM nexus_restore.unbuilt WHERE index IS NOT NULL)::float8, \
 EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND application_name = 'nexus-restore'), \
 (SELECT max(100 * greatest(tuples_done::float8 / nullif(tuples_total, 0), blocks_done::float8 / nullif(blocks_total, 0))) \
   FROM pg_catalog.pg_stat_progress_create_index WHERE datname = current_database())";

pub(super) fn look(session: &Session, look: &mut Look) -> Result<(), Trouble> {
    if !session.rows(unbuilt::IS_THERE)?.first().is_some_and(|row| row.get(0)) {
        look.found(finding(0.0, false, None));
    } else if let Some(row) = session.rows(LEFT)?.first() {
        look.found(finding(row.get(0), row.get(1), row.get(2)));
    }
    Ok(())
}

/// That it takes its time is what a person wanted who let it serve early; that nobody is at it is not.
fn finding(left: f64, is_at_it: bool, percent: Option<f64>) -> Finding {
    let id = "restore-indexes";
    if is_at_it {
        let far = percent.map_or_else(String::new, |percent| format!(", the one at work {percent:.0} %"));
        return Finding::ok(
            id,
            format!(
                "A restore still builds vector indexes ({left} left{far}): until then searches by meaning are exact and slower."
            ),
        );
    }
    match left {
        l if l < 1.0 => Finding::ok(id, "No restore has left an index to be built."),
        _ => Finding::warning(
            id,
            format!(
                "A restore was ended before it had built {left} vector indexes: searches by meaning are exact and slow."
            ),
            "Build them, while programs go on working: nexus-restore finish",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    #[test]
    fn an_index_that_nobody_builds_is_a_warning() {
        assert_eq!(finding(0.0, false, None).level, Level::Ok);
        let building = finding(1.0, true, Some(41.4));
        assert_eq!(building.level, Level::Ok);
        assert!(building.sentence.contains("41 %"), "{}", building.sentence);
        let left = finding(1.0, false, None);
        assert_eq!(left.level, Level::Warning);
        assert!(left.advice.contains("nexus-restore finish"));
    }
}
