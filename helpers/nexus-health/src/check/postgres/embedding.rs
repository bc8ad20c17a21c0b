//! Texts that wait for their vector: without one an episode is found by its words alone.

use super::in_words;
use super::session::{Session, Trouble};
use crate::finding::{Finding, Metric};
use crate::look::{Ctx, Look};

/// A database that was made before there was a queue has none.
const IS_THERE: &str = "SELECT pg_catalog.to_regclass('nexus_memory.embedding_queue') IS NOT NULL";

const QUEUE: &str = "\
SELECT count(*) FILTER (WHERE state = 'waiting')::float8, count(*) FILTER (WHERE state = 'failed')::float8, \
 coalesce(max(extract(epoch FROM clock_timestamp() - queued_at)) FILTER (WHERE state = 'waiting'), 0)::float8 \
FROM nexus_memory.embedding_queue";

/// What is in the queue.
#[derive(Clone, Copy, Debug)]
struct Queue {
    waiting: f64,
    /// Tried often enough, and left to a person.
    failed: f64,
    /// Seconds for which the one that has waited longest has done so.
    oldest: f64,
}

pub(super) fn look(session: &Session, ctx: &Ctx, look: &mut Look) -> Result<(), Trouble> {
    if !session.rows(IS_THERE)?.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    if let Some(row) = session.rows(QUEUE)?.first() {
        judge(Queue { waiting: row.get(0), failed: row.get(1), oldest: row.get(2) }, ctx, look);
    }
    Ok(())
}

fn judge(queue: Queue, ctx: &Ctx, look: &mut Look) {
    let Queue { waiting, failed, oldest } = queue;
    for (state, count) in [("waiting", waiting), ("failed", failed)] {
        let help = "Texts without a vector: waiting for it, or given up.";
        look.metric(Metric::of("embedding_queue_texts", help, ("state", state), count));
    }
    let help = "Time for which the text that waits longest for its vector has done so.";
    look.metric(Metric::one("embedding_queue_oldest_seconds", help, oldest));
    let sentence = match waiting {
        w if w < 1.0 => "No text waits for its vector.".to_owned(),
        _ => format!("{waiting} texts wait for their vectors, the oldest for {}.", in_words(oldest)),
    };
    let advice = "Until then they are found by their words alone. See: systemctl status nexus-embed.socket nexus-embed; \
                  without a model: NEXUS_HEALTH_EMBEDDING=off";
    look.found(Finding::measured("embedding-queue", oldest, ctx.args.thresholds.embedding, sentence, advice));
    look.found(match failed {
        f if f < 1.0 => Finding::ok("embedding-failed", "No text was given up for want of a vector."),
        _ => Finding::warning(
            "embedding-failed",
            format!("Of {failed} texts no vector could be made, and nobody tries again."),
            "See why: SELECT episode_id, last_error FROM nexus_memory.embedding_queue WHERE state = 'failed'; try again: \
             UPDATE nexus_memory.embedding_queue SET state = 'waiting', attempts = 0, next_try_at = now() WHERE state = 'failed'",
        ),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use crate::finding::Level;
    use clap::Parser;

    #[test]
    fn what_waits_long_or_was_given_up_is_said() {
        let ctx = Ctx::new(Args::parse_from(["nexus-health"]));
        let levels = |waiting, failed, oldest| {
            let mut look = Look::default();
            judge(Queue { waiting, failed, oldest }, &ctx, &mut look);
            look.findings.iter().map(|finding| finding.level).collect::<Vec<_>>()
        };
        assert_eq!(levels(0.0, 0.0, 0.0), [Level::Ok, Level::Ok]);
        assert_eq!(levels(9.0, 0.0, 60.0), [Level::Ok, Level::Ok]);
        assert_eq!(levels(9.0, 1.0, 7200.0), [Level::Warning, Level::Warning]);
        assert_eq!(levels(9.0, 0.0, 200_000.0), [Level::Critical, Level::Ok]);
    }
}
