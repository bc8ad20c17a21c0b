//! Texts that wait for their vectors. Without a vector, an episode is found by its words only.

use nexus_postgres::trusted;

use super::session::{Session, SessionError};
use super::{count_of, in_words};
use crate::context::Context;
use crate::finding::{Finding, Metric};
use crate::report::Report;

const QUEUE: &str = "\
SELECT count(*) FILTER (WHERE state = 'waiting')::float8, count(*) FILTER (WHERE state = 'failed')::float8, \
 coalesce(max(extract(epoch FROM clock_timestamp() - queued_at)) FILTER (WHERE state = 'waiting'), 0)::float8 \
FROM nexus_memory.embedding_queue";

/// The state of the queue.
#[derive(Clone, Copy, Debug)]
struct Queue {
    waiting: f64,
    /// Texts that nexus-embed does not try again.
    failed: f64,
    /// The longest wait in seconds.
    oldest: f64,
}

pub(super) fn check(session: &Session, ctx: &Context, report: &mut Report) -> Result<(), SessionError> {
    // An older database has no queue.
    let exists = trusted::is_there("nexus_memory", "embedding_queue");
    if !session.rows(&exists)?.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    if let Some(row) = session.rows(QUEUE)?.first() {
        judge(Queue { waiting: row.get(0), failed: row.get(1), oldest: row.get(2) }, ctx, report);
    }
    Ok(())
}

fn judge(queue: Queue, ctx: &Context, report: &mut Report) {
    let Queue { waiting, failed, oldest } = queue;
    for (state, count) in [("waiting", waiting), ("failed", failed)] {
        let help = "Texts without a vector: waiting for it, or failed.";
        report.metric(Metric::of("embedding_queue_texts", help, ("state", state), count));
    }
    let help = "Longest wait of a text for its vector.";
    report.metric(Metric::one("embedding_queue_oldest_seconds", help, oldest));
    let sentence = if waiting < 1.0 {
        "No text waits for its vector.".to_owned()
    } else if waiting < 2.0 {
        format!("A text has been waiting for its vector for {}.", in_words(oldest))
    } else {
        format!("{waiting} texts wait for their vectors, the oldest for {}.", in_words(oldest))
    };
    let advice = "Until a text has its vector, searches find it by its words only. See: systemctl status nexus-embed.socket \
                  nexus-embed; if you use no model, set NEXUS_HEALTH_EMBEDDING=off in /etc/nexus/nexus.env, then: systemctl restart \
                  nexus-health";
    report.found(Finding::measured(
        "embedding-queue",
        oldest,
        ctx.args.thresholds.embedding,
        sentence,
        advice,
    ));
    report.found(if failed < 1.0 {
        Finding::ok("embedding-failed", "Every text has its vector or waits for it.")
    } else {
        Finding::warning(
            "embedding-failed",
            format!(
                "nexus-embed could not make a vector for {}, and does not try again.",
                count_of(failed, "text")
            ),
            "See why: SELECT episode_id, last_error FROM nexus_memory.embedding_queue WHERE state = 'failed'; try again: \
             UPDATE nexus_memory.embedding_queue SET state = 'waiting', attempts = 0, next_try_at = now() WHERE state = 'failed'",
        )
        .in_psql(&ctx.args.server.database)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use crate::level::FindingLevel;
    use clap::Parser;

    #[test]
    fn long_waits_and_failures_are_reported() {
        let ctx = Context::new(Args::parse_from(["nexus-health"]));
        let levels = |waiting, failed, oldest| {
            let mut report = Report::default();
            judge(Queue { waiting, failed, oldest }, &ctx, &mut report);
            report.findings.iter().map(|finding| finding.level).collect::<Vec<_>>()
        };
        assert_eq!(levels(0.0, 0.0, 0.0), [FindingLevel::Ok, FindingLevel::Ok]);
        assert_eq!(levels(9.0, 0.0, 60.0), [FindingLevel::Ok, FindingLevel::Ok]);
        assert_eq!(levels(9.0, 1.0, 7200.0), [FindingLevel::Warning, FindingLevel::Warning]);
        assert_eq!(levels(9.0, 0.0, 200_000.0), [FindingLevel::Critical, FindingLevel::Ok]);
    }
}
