//! Redis: whether it answers, whether it can write its files, and whether its memory suffices.

mod conversation;
mod info;

use std::time::{Duration, Instant};

use crate::finding::{Finding, Metric};
use crate::look::{Answer, Check, Ctx, Fact, Look};
use conversation::{Conversation, Trouble};
use info::Info;

/// Evictions are counted over this time.
const HOUR: Duration = Duration::from_secs(3600);

/// Kept between checks.
#[derive(Default)]
pub(crate) struct Redis {
    /// When how many keys had been evicted, the oldest an hour ago.
    evicted: Vec<(Instant, u64)>,
    /// How often Redis had forked when its last snapshot had succeeded.
    forks: Option<u64>,
}

impl Check for Redis {
    fn look(&mut self, ctx: &Ctx) -> Look {
        let mut look = Look::default();
        let answer = match self.ask(ctx, &mut look) {
            Ok(()) => Answer::Answers,
            Err(trouble) => {
                look.found(trouble.finding());
                trouble.answer
            }
        };
        let up = f64::from(u8::from(answer == Answer::Answers));
        look.metric(Metric::one("redis_up", "Whether Redis answers.", up));
        look.facts.push(Fact::Redis(answer));
        look
    }
}

impl Redis {
    fn ask(&mut self, ctx: &Ctx, look: &mut Look) -> Result<(), Trouble> {
        let mut conversation = Conversation::begin(&ctx.args.redis_socket)?;
        let begun = Instant::now();
        conversation.ask(&["PING"])?;
        let seconds = begun.elapsed().as_secs_f64();
        look.metric(Metric::one("redis_round_trip_seconds", "Time that Redis takes for a PING.", seconds));
        look.found(Finding::ok("redis", format!("Redis answers in {:.1} ms.", seconds * 1000.0)));
        let info = Info::parse(&conversation.ask(&["INFO"])?);
        let directory = conversation.ask(&["CONFIG", "GET", "dir"])?;
        // The answer's lines are the name and the value.
        let directory = directory.lines().nth(1).map(str::to_owned);
        ctx.note_directory(|directories| directories.redis = directory);
        look.found(self.snapshot(&info));
        look.found(append_only(&info));
        memory(&info, ctx, look);
        self.evictions(&info, ctx, look);
        Ok(())
    }

    fn snapshot(&mut self, info: &Info) -> Finding {
        let id = "redis-snapshot";
        let sentence = "Redis could not write its last snapshot (BGSAVE), so no backup of it succeeds.";
        let forks = info.number("total_forks");
        match info.text("rdb_last_bgsave_status") {
            Some("ok") => {
                self.forks = forks;
                Finding::ok(id, "Redis wrote its last snapshot.")
            }
            // Redis counts successful forks.
            Some(_) if forks.is_some() && forks == self.forks.or(Some(0)) => Finding::critical(
                id,
                format!("{sentence} It cannot start a copy of itself (fork)."),
                "Memory is short, or the kernel does not overcommit it: free -h; sysctl vm.overcommit_memory, which \
                 should be 1 for Redis",
            ),
            Some(_) => Finding::critical(
                id,
                sentence,
                "The cause is in its log: docker logs nexus-redis; most often the disk is full or memory is short",
            ),
            None => Finding::unknown(id, "Redis does not report the result of its last snapshot.", ""),
        }
    }

    fn evictions(&mut self, info: &Info, ctx: &Ctx, look: &mut Look) {
        let now = Instant::now();
        let evicted = info.number("evicted_keys").unwrap_or(0);
        // One that was restarted counts from 0 again.
        if self.evicted.last().is_some_and(|(_, before)| *before > evicted) {
            self.evicted.clear();
        }
        let expired = self.evicted.iter().filter(|(at, _)| now.duration_since(*at) > HOUR).count();
        self.evicted.drain(..expired.saturating_sub(1));
        // A sample each two minutes is enough, whatever the interval.
        if self.evicted.last().is_none_or(|(at, _)| now.duration_since(*at) > HOUR / 30) {
            self.evicted.push((now, evicted));
        }
        let before = self.evicted.first().map_or(evicted, |(_, before)| *before);
        let count = evicted - before;
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        let value = count as f64;
        look.metric(Metric::one("redis_evicted_keys", "Keys evicted within the last hour.", value));
        let sentence = match count {
            0 => "Redis has thrown no key out.".to_owned(),
            count => {
                format!("Redis has thrown out {count} keys within an hour, because its memory was full.")
            }
        };
        let advice = "Give it more: NEXUS_REDIS_MAXMEMORY and NEXUS_REDIS_MEMORY in /etc/nexus/nexus.env";
        let limits = ctx.args.thresholds.redis_evictions;
        look.found(Finding::measured("redis-evictions", value, limits, sentence, advice));
    }
}

fn append_only(info: &Info) -> Finding {
    let id = "redis-log";
    if info.text("aof_enabled") == Some("0") {
        return Finding::warning(
            id,
            "Redis writes no append-only file: a crash loses what came since its last snapshot.",
            "Set appendonly yes, as the shipped redis.conf does",
        );
    }
    match (info.text("aof_last_write_status"), info.text("aof_last_bgrewrite_status")) {
        (Some("ok"), Some("ok")) => Finding::ok(id, "Redis writes its append-only file."),
        (Some("ok"), _) => Finding::warning(
            id,
            "Redis could not write its append-only file anew, so it grows.",
            "The cause is in its log: docker logs nexus-redis",
        ),
        (Some(_), _) => Finding::critical(
            id,
            "Redis cannot write its append-only file, and refuses to change anything.",
            "The cause is in its log: docker logs nexus-redis. Nothing is mended here by itself: the file may be damaged \
             (redis-check-aof)",
        ),
        (None, _) => {
            Finding::unknown(id, "Redis does not say whether it can write its append-only file.", "")
        }
    }
}

fn memory(info: &Info, ctx: &Ctx, look: &mut Look) {
    let (used, most) = (info.number("used_memory").unwrap_or(0), info.number("maxmemory").unwrap_or(0));
    if most == 0 {
        let sentence = "Redis has no limit of memory (maxmemory).";
        look.found(Finding::warning(
            "redis-memory",
            sentence,
            "Set NEXUS_REDIS_MAXMEMORY in /etc/nexus/nexus.env",
        ));
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = used as f64 / most as f64;
    look.metric(Metric::one("redis_memory_used_ratio", "Memory of Redis in use.", share));
    let sentence = format!("Redis has {:.0} % of its memory in use.", share * 100.0);
    let advice =
        "Give it more: NEXUS_REDIS_MAXMEMORY and NEXUS_REDIS_MEMORY in /etc/nexus/nexus.env; or let keys end";
    look.found(Finding::measured("redis-memory", share, ctx.args.thresholds.redis_memory, sentence, advice));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    #[test]
    fn what_cannot_be_written_is_critical() {
        let level = |text: &str| {
            let info = Info::parse(text);
            (Redis::default().snapshot(&info).level, append_only(&info).level)
        };
        let said = |rdb: &str, aof: &str, rewrite: &str| {
            format!(
                "rdb_last_bgsave_status:{rdb}\r\naof_enabled:1\r\naof_last_write_status:{aof}\r\n\
                 aof_last_bgrewrite_status:{rewrite}\r\n"
            )
        };
        assert_eq!(level(&said("ok", "ok", "ok")), (Level::Ok, Level::Ok));
        assert_eq!(level(&said("err", "ok", "err")), (Level::Critical, Level::Warning));
        assert_eq!(level(&said("ok", "err", "ok")), (Level::Ok, Level::Critical));
        assert_eq!(level(""), (Level::Unknown, Level::Unknown));
    }

    #[test]
    fn a_snapshot_that_failed_without_a_fork_names_the_fork() {
        let mut redis = Redis::default();
        let mut says_fork = |status: &str, forks: u64| {
            let info = format!("rdb_last_bgsave_status:{status}\r\ntotal_forks:{forks}\r\n");
            redis.snapshot(&Info::parse(&info)).sentence.contains("(fork)")
        };
        assert!(!says_fork("ok", 7));
        assert!(says_fork("err", 7));
        assert!(!says_fork("err", 8), "that one forked, and failed after");
        assert!(!says_fork("ok", 9));
    }
}
