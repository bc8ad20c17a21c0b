//! PostgreSQL: whether it answers, how fast, and what accumulates in it.

pub(crate) mod database;
mod embedding;
mod emptied;
mod others;
mod session;
mod unbuilt;

use std::time::{Duration, Instant};

use crate::context::{Check, Context};
use crate::finding::{Finding, Metric};
use crate::report::{Fact, Liveness, Report};

use session::{Session, SessionError};

/// The overview in one statement. It ignores the transactions of NEXUS's jobs, which hold their snapshots as long as they need.
const OVERVIEW: &str = "\
SELECT \
 (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')::float8, \
 (current_setting('max_connections')::float8 - current_setting('superuser_reserved_connections')::float8), \
 (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - since)), 0) FROM ( \
   SELECT xact_start AS since FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend' \
     AND pid <> pg_backend_pid() AND application_name !~ '^(nexus-|pg_dump|pg_restore)' \
   UNION ALL SELECT prepared FROM pg_catalog.pg_prepared_xacts) AS transactions)::float8, \
 (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0) \
   FROM pg_catalog.pg_locks WHERE NOT granted)::float8, \
 (SELECT coalesce(sum(size), 0) FROM pg_catalog.pg_ls_waldir())::float8, \
 (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE NOT active)::float8, \
 (SELECT greatest(max(age(datfrozenxid)), max(mxid_age(datminmxid))) FROM pg_catalog.pg_database)::float8, \
 current_setting('data_directory')";

/// The transaction IDs available before wraparound (PostgreSQL manual, "Preventing Transaction ID Wraparound Failures").
const TRANSACTION_IDS: f64 = 2_147_483_648.0;

/// Opens a new connection in every run, because that is half of the check.
pub(crate) struct Postgres;

impl Check for Postgres {
    fn check(&mut self, ctx: &Context) -> Report {
        let mut report = Report::default();
        let liveness = match query(ctx, &mut report) {
            Ok(()) => Liveness::Responsive,
            Err(error) => {
                report.found(error.finding());
                error.liveness
            }
        };
        report.metric(Metric::one(
            "postgres_up",
            "Whether PostgreSQL answers.",
            f64::from(u8::from(liveness == Liveness::Responsive)),
        ));
        report.facts.push(Fact::Postgres(liveness));
        report
    }
}

fn query(ctx: &Context, report: &mut Report) -> Result<(), SessionError> {
    let begun = Instant::now();
    let session = Session::open(&ctx.args.server)?;
    let opened = begun.elapsed();
    let begun = Instant::now();
    session.rows("SELECT 1")?;
    let round_trip = begun.elapsed();
    let rows = session.rows(OVERVIEW)?;
    let row = rows.first().ok_or_else(|| SessionError::busy("it returned no row"))?;
    let number = |column: usize| row.get::<_, f64>(column);
    ctx.note_directory(|directories| directories.postgres = Some(row.get(7)));
    answers(opened, round_trip, ctx, report);
    connections(number(0), number(1), ctx, report);
    waiting(number(2), number(3), ctx, report);
    log_and_numbers(number(4), number(5), number(6), ctx, report);
    Ok(())
}

fn answers(opened: Duration, round_trip: Duration, ctx: &Context, report: &mut Report) {
    let seconds = round_trip.as_secs_f64();
    report.metric(Metric::one("postgres_round_trip_seconds", "Time for the smallest query.", seconds));
    report.metric(Metric::one(
        "postgres_connect_seconds",
        "Time to connect and log in.",
        opened.as_secs_f64(),
    ));
    let sentence = format!("PostgreSQL answers in {:.1} ms.", seconds * 1000.0);
    let advice = "See what PostgreSQL is busy with: SELECT * FROM pg_stat_activity";
    let limits = ctx.args.thresholds.pg_round_trip;
    let finding = Finding::measured("postgres", seconds, limits, sentence, advice).patient(2);
    report.found(finding.in_psql(&ctx.args.server.database));
}

fn connections(there: f64, most: f64, ctx: &Context, report: &mut Report) {
    let share = there / most.max(1.0);
    report.metric(Metric::one("postgres_connections_ratio", "Connections in use of those available.", share));
    let sentence = format!("PostgreSQL has {there} of {most} connections in use.");
    let advice = "See who holds connections: SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2; \
                  to allow more, raise max_connections in /etc/nexus/postgres/local.conf, then: systemctl restart nexus-stack";
    let limits = ctx.args.thresholds.pg_connections;
    let finding = Finding::measured("postgres-connections", share, limits, sentence, advice);
    report.found(finding.in_psql(&ctx.args.server.database));
}

fn waiting(transaction: f64, blocked: f64, ctx: &Context, report: &mut Report) {
    report.metric(Metric::one(
        "postgres_oldest_transaction_seconds",
        "Age of the oldest transaction of a program.",
        transaction,
    ));
    report.metric(Metric::one("postgres_longest_lock_wait_seconds", "Longest wait for a lock.", blocked));
    let sentence = match transaction {
        t if t < 1.0 => "No program has a long transaction open.".to_owned(),
        t => format!("The oldest transaction of a program has been open for {}.", in_words(t)),
    };
    let advice = "A long transaction keeps VACUUM from removing dead rows. Find it: SELECT pid, application_name, state, query \
                  FROM pg_stat_activity ORDER BY xact_start; end it: SELECT pg_terminate_backend(PID)";
    let limits = ctx.args.thresholds.pg_transaction;
    let finding = Finding::measured("postgres-transaction", transaction, limits, sentence, advice);
    report.found(finding.in_psql(&ctx.args.server.database));
    let sentence = match blocked {
        l if l < 1.0 => "No session waits for a lock.".to_owned(),
        l => format!("A session has been waiting for a lock for {}.", in_words(l)),
    };
    let advice = "See which session blocks which: SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE \
                  wait_event_type = 'Lock'";
    let limits = ctx.args.thresholds.pg_lock;
    let finding = Finding::measured("postgres-lock", blocked, limits, sentence, advice);
    report.found(finding.in_psql(&ctx.args.server.database));
}

fn log_and_numbers(wal: f64, idle_slots: f64, age: f64, ctx: &Context, report: &mut Report) {
    report.metric(Metric::one("postgres_wal_bytes", "Size of the write-ahead log.", wal));
    let mut sentence = format!("PostgreSQL's write-ahead log takes {}.", bytes_in_words(wal));
    if idle_slots > 0.0 {
        let slots = count_of(idle_slots, "inactive replication slot");
        sentence.push_str(&format!(" Because of {slots}, PostgreSQL cannot remove it."));
    }
    let advice = "See what keeps the write-ahead log: SELECT * FROM pg_replication_slots; SELECT * FROM pg_stat_archiver";
    let finding = Finding::measured("postgres-wal", wal, ctx.args.thresholds.pg_wal, sentence, advice);
    report.found(finding.in_psql(&ctx.args.server.database));
    let share = age / TRANSACTION_IDS;
    report.metric(Metric::one(
        "postgres_wraparound_ratio",
        "Share of the transaction IDs used since the oldest row was frozen.",
        share,
    ));
    let sentence =
        format!("{:.0} % of the transaction IDs are used up since the oldest row was frozen.", share * 100.0);
    let advice = "Autovacuum should have frozen old rows: look for old transactions, then run VACUUM FREEZE";
    let limits = ctx.args.thresholds.pg_wraparound;
    let finding = Finding::measured("postgres-wraparound", share, limits, sentence, advice);
    report.found(finding.in_psql(&ctx.args.server.database));
}

/// Formats a duration in its two largest units: `2 h 3 min`.
pub(crate) fn in_words(seconds: f64) -> String {
    let whole = humantime::format_duration(Duration::from_secs_f64(seconds.max(0.0).round())).to_string();
    let with_blank = |part: &str| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, unit) = part.split_at(digits);
        format!("{number} {}", if unit == "m" { "min" } else { unit })
    };
    whole.split(' ').take(2).map(with_blank).collect::<Vec<_>>().join(" ")
}

/// Formats a count that a query has returned: `2 rows`.
fn count_of(number: f64, one: &str) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    nexus_cli::text::counted(number as u64, one)
}

/// Formats a size: `2.00 GiB`.
fn bytes_in_words(bytes: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size for people")]
    nexus_cli::progress::human_bytes(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        assert_eq!(in_words(7385.4), "2 h 3 min");
        assert_eq!(in_words(61.0), "1 min 1 s");
        assert_eq!(in_words(86_400.0), "1 day");
        assert_eq!(in_words(0.2), "0 s");
    }
}
