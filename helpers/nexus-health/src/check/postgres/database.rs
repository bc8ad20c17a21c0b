//! Checks what changes slowly and costs more: size, dead rows, indexes, collations, pgvector, texts without a vector.

use nexus_cli::text::listed;
use nexus_postgres::pgvector::is_safe;

use super::session::{Session, SessionError};
use super::{bytes_in_words, embedding, emptied, in_words, others, unbuilt};
use crate::context::{Check, Context};
use crate::finding::{Finding, Metric};
use crate::report::{Liveness, Report};

/// Fewer dead rows than this do not count, however small the table.
const LEAST_DEAD_ROWS: &str = "10000";

const INVALID: &str = "\
SELECT i.indexrelid::regclass::text FROM pg_catalog.pg_index i \
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
WHERE NOT i.indisvalid AND c.relkind = 'i' AND NOT EXISTS \
 (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) ORDER BY 1";

const COLLATIONS: &str = "\
SELECT 'database ' || datname FROM pg_catalog.pg_database \
 WHERE datallowconn AND datcollversion <> pg_catalog.pg_database_collation_actual_version(oid) \
UNION ALL SELECT 'collation ' || collname FROM pg_catalog.pg_collation \
 WHERE collversion <> pg_catalog.pg_collation_actual_version(oid) ORDER BY 1";

/// Checks the database that holds the memory.
pub(crate) struct Database;

impl Check for Database {
    fn check(&mut self, ctx: &Context) -> Report {
        let mut report = Report::default();
        // The check of the server reports that nobody can connect.
        if let Ok(session) = Session::open(&ctx.args.server) {
            let refused: Vec<_> =
                PARTS.iter().filter_map(|part| part(&session, ctx, &mut report).err()).collect();
            report.found(complete(&refused));
        }
        report
    }
}

/// One subject of this check. A part that fails (a lock, the limit of 4 s, a missing privilege) does not hide the
/// others.
type Part = fn(&Session, &Context, &mut Report) -> Result<(), SessionError>;

const PARTS: [Part; 8] = [
    |session, ctx, report| {
        report.found(indexes(&session.names(INVALID)?).in_psql(&ctx.args.server.database));
        Ok(())
    },
    |session, ctx, report| {
        report.found(collations(&session.names(COLLATIONS)?).in_psql(&ctx.args.server.database));
        Ok(())
    },
    |session, ctx, report| {
        let versions =
            session.names("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector'")?;
        report.found(pgvector(versions.first().map(String::as_str), &ctx.args.server.database));
        size(session, report)
    },
    emptied::check,
    |session, _, report| unbuilt::check(session, report),
    others::check,
    embedding::check,
    dead_rows,
];

/// Reports a query that the server refused. The check of the server reports that it does not answer at all.
fn complete(refused: &[SessionError]) -> Finding {
    match refused.iter().find(|error| error.liveness == Liveness::Busy) {
        None => Finding::ok("database", "Every query about the database succeeded."),
        Some(error) => Finding::unknown("database", error.sentence.clone(), error.advice),
    }
}

fn indexes(invalid: &[String]) -> Finding {
    match invalid {
        [] => Finding::ok("postgres-indexes", "All indexes are valid."),
        names => Finding::warning(
            "postgres-indexes",
            format!("These indexes are invalid, so no query uses them: {}.", listed(names)),
            format!("Rebuild each index: REINDEX INDEX CONCURRENTLY {}", names[0]),
        ),
    }
}

fn collations(changed: &[String]) -> Finding {
    match changed {
        [] => Finding::ok("postgres-collation", "Texts are sorted as they were when the indexes were built."),
        names => Finding::warning(
            "postgres-collation",
            format!(
                "The system's sort order of texts has changed since these were created: {}.",
                listed(names)
            ),
            "Indexes on texts may be wrong. Rebuild them: REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION",
        ),
    }
}

fn pgvector(version: Option<&str>, database: &str) -> Finding {
    match version {
        None => Finding::warning(
            "pgvector",
            "The database has no pgvector.",
            "Create the extension: systemctl reload nexus-stack",
        ),
        Some(version) if is_safe(version) => Finding::ok(
            "pgvector",
            format!("pgvector is {version}, which has no known fault that damages indexes."),
        ),
        Some(version) => Finding::critical(
            "pgvector",
            format!("pgvector is {version}; before 0.8.4, VACUUM can damage an HNSW index during writes."),
            "Set NEXUS_POSTGRES_IMAGE in /etc/nexus/nexus.env to an image of the same PostgreSQL with a newer pgvector, then: \
             systemctl reload nexus-stack; then run ALTER EXTENSION vector UPDATE, and REINDEX INDEX for each vector index",
        )
        .in_psql(database),
    }
}

fn size(session: &Session, report: &mut Report) -> Result<(), SessionError> {
    let rows = session.rows("SELECT pg_catalog.pg_database_size(current_database())::float8")?;
    if let Some(row) = rows.first() {
        let bytes: f64 = row.get(0);
        report.metric(Metric::one("database_size_bytes", "Size of the database with the memory.", bytes));
        report.found(Finding::ok(
            "database-size",
            format!("The size of the database is {}.", bytes_in_words(bytes)),
        ));
    }
    Ok(())
}

fn dead_rows(session: &Session, ctx: &Context, report: &mut Report) -> Result<(), SessionError> {
    let sql = format!(
        "SELECT relid::regclass::text, n_dead_tup::float8 / (n_dead_tup + n_live_tup), \
         coalesce(extract(epoch FROM clock_timestamp() - greatest(last_autovacuum, last_vacuum)), -1)::float8 \
         FROM pg_catalog.pg_stat_user_tables WHERE n_dead_tup > {LEAST_DEAD_ROWS} ORDER BY 2 DESC LIMIT 1"
    );
    let rows = session.rows(&sql)?;
    let (share, sentence) = match rows.first() {
        None => (0.0, "No table has many dead rows.".to_owned()),
        Some(row) => {
            let (table, share, since): (String, f64, f64) = (row.get(0), row.get(1), row.get(2));
            let vacuumed = if since < 0.0 {
                "has not been vacuumed yet".to_owned()
            } else {
                format!("was vacuumed {} ago", in_words(since))
            };
            (share, format!("{:.0} % of the rows of {table} are dead; it {vacuumed}.", share * 100.0))
        }
    };
    report.metric(Metric::one(
        "postgres_dead_rows_ratio",
        "Share of dead rows in the table with the largest share.",
        share,
    ));
    let advice = "Find old transactions, which keep VACUUM from removing dead rows; then run VACUUM (VERBOSE) on the table";
    let limits = ctx.args.thresholds.pg_dead_rows;
    let finding = Finding::measured("postgres-dead-rows", share, limits, sentence, advice);
    report.found(finding.in_psql(&ctx.args.server.database));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn a_pgvector_that_damages_indexes_is_critical() {
        let level = |version| pgvector(version, "nexus").level;
        assert_eq!(level(Some("0.8.3")), FindingLevel::Critical);
        assert_eq!(level(Some("0.8.4")), FindingLevel::Ok);
        assert_eq!(level(Some("0.10.0")), FindingLevel::Ok);
        assert_eq!(level(None), FindingLevel::Warning);
    }

    #[test]
    fn an_invalid_index_is_named() {
        let finding = indexes(&["nexus_memory.x".to_owned()]);
        assert_eq!(finding.level, FindingLevel::Warning);
        assert!(finding.sentence.contains("nexus_memory.x") && finding.advice.contains("nexus_memory.x"));
    }
}
