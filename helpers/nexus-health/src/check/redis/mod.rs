//! Redis: whether it answers, whether it can write its files, and whether its memory suffices.

mod connection;
mod info;

use std::time::{Duration, Instant};

use nexus_cli::text::counted;

use crate::context::{Check, Context};
use crate::finding::{Finding, Metric};
use crate::report::{Fact, Liveness, Report};
use connection::{Connection, ConnectionError};
use info::Info;

/// The time over which evictions count.
const HOUR: Duration = Duration::from_secs(3600);

/// How to give Redis more memory.
const RAISE: &str = "Raise NEXUS_REDIS_MAXMEMORY and NEXUS_REDIS_MEMORY in /etc/nexus/nexus.env, then: systemctl reload \
                     nexus-stack";

/// The state between two checks.
#[derive(Default)]
pub(crate) struct Redis {
    /// The number of evicted keys at times of the last hour, oldest first.
    evicted: Vec<(Instant, u64)>,
    /// How often Redis had forked when its last snapshot had succeeded.
    forks: Option<u64>,
}

impl Check for Redis {
    fn check(&mut self, ctx: &Context) -> Report {
        let mut report = Report::default();
        let liveness = match self.ask(ctx, &mut report) {
            Ok(()) => Liveness::Responsive,
            Err(error) => {
                report.found(error.finding());
                error.liveness
            }
        };
        let up = f64::from(u8::from(liveness == Liveness::Responsive));
        report.metric(Metric::one("redis_up", "Whether Redis answers.", up));
        report.facts.push(Fact::Redis(liveness));
        report
    }
}

impl Redis {
    fn ask(&mut self, ctx: &Context, report: &mut Report) -> Result<(), ConnectionError> {
        let mut connection = Connection::open(&ctx.args.redis_socket)?;
        let begun = Instant::now();
        connection.command(&["PING"])?;
        let seconds = begun.elapsed().as_secs_f64();
        report.metric(Metric::one("redis_round_trip_seconds", "Time that Redis takes for a PING.", seconds));
        report.found(Finding::ok("redis", format!("Redis answers in {:.1} ms.", seconds * 1000.0)));
        let info = Info::parse(&connection.command(&["INFO"])?);
        let directory = connection.command(&["CONFIG", "GET", "dir"])?;
        // The reply has a line for the name and one for the value.
        let directory = directory.lines().nth(1).map(str::to_owned);
        ctx.note_directory(|directories| directories.redis = directory);
        report.found(self.snapshot(&info));
        report.found(append_only(&info));
        memory(&info, ctx, report);
        self.evictions(&info, ctx, report);
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
                "Memory is short, or the kernel does not overcommit it. Check both: free -h; sysctl vm.overcommit_memory (Redis \
                 needs 1)",
            ),
            Some(_) => Finding::critical(
                id,
                sentence,
                "See the cause in Redis's log: docker logs nexus-redis; most often the disk is full or memory is short",
            ),
            None => Finding::unknown(id, "Redis does not report the result of its last snapshot.", ""),
        }
    }

    fn evictions(&mut self, info: &Info, ctx: &Context, report: &mut Report) {
        let now = Instant::now();
        let evicted = info.number("evicted_keys").unwrap_or(0);
        // A restarted server counts from 0 again.
        if self.evicted.last().is_some_and(|(_, before)| *before > evicted) {
            self.evicted.clear();
        }
        let expired = self.evicted.iter().filter(|(at, _)| now.duration_since(*at) > HOUR).count();
        self.evicted.drain(..expired.saturating_sub(1));
        // One sample in two minutes is enough at any interval.
        if self.evicted.last().is_none_or(|(at, _)| now.duration_since(*at) > HOUR / 30) {
            self.evicted.push((now, evicted));
        }
        let before = self.evicted.first().map_or(evicted, |(_, before)| *before);
        let count = evicted - before;
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        let value = count as f64;
        report.metric(Metric::one("redis_evicted_keys", "Keys evicted in the last hour.", value));
        let sentence = match count {
            0 => "Redis has evicted no key in the last hour.".to_owned(),
            count => format!(
                "Redis has evicted {} in the last hour, because its memory was full.",
                counted(count, "key")
            ),
        };
        let limits = ctx.args.thresholds.redis_evictions;
        report.found(Finding::measured("redis-evictions", value, limits, sentence, RAISE));
    }
}

fn append_only(info: &Info) -> Finding {
    let id = "redis-log";
    if info.text("aof_enabled") == Some("0") {
        return Finding::warning(
            id,
            "Redis writes no append-only file: a crash loses everything since its last snapshot.",
            "Turn it on without a restart, which would lose data: sudo docker exec -it nexus-redis redis-cli -s \
             /run/redis/redis.sock --askpass CONFIG SET appendonly yes (the password is in \
             /etc/nexus/credentials/redis_password); then remove what turned it off from /etc/nexus/compose.override.yml",
        );
    }
    match (info.text("aof_last_write_status"), info.text("aof_last_bgrewrite_status")) {
        (Some("ok"), Some("ok")) => Finding::ok(id, "Redis writes its append-only file."),
        (Some("ok"), _) => Finding::warning(
            id,
            "Redis could not rewrite its append-only file, so the file grows.",
            "See the cause in Redis's log: docker logs nexus-redis",
        ),
        (Some(_), _) => Finding::critical(
            id,
            "Redis cannot write its append-only file, and refuses writes.",
            "See the cause in Redis's log: docker logs nexus-redis. NEXUS does not repair this, because the file may be damaged \
             (redis-check-aof)",
        ),
        (None, _) => {
            Finding::unknown(id, "Redis does not report whether it can write its append-only file.", "")
        }
    }
}

fn memory(info: &Info, ctx: &Context, report: &mut Report) {
    let (used, most) = (info.number("used_memory").unwrap_or(0), info.number("maxmemory").unwrap_or(0));
    if most == 0 {
        let sentence = "Redis has no memory limit (maxmemory).";
        report.found(Finding::warning(
            "redis-memory",
            sentence,
            "Set NEXUS_REDIS_MAXMEMORY in /etc/nexus/nexus.env, then: systemctl reload nexus-stack",
        ));
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = used as f64 / most as f64;
    report.metric(Metric::one("redis_memory_used_ratio", "Memory of Redis in use.", share));
    let sentence = format!("Redis uses {:.0} % of its memory.", share * 100.0);
    let advice = format!("{RAISE}; or let keys expire");
    report.found(Finding::measured(
        "redis-memory",
        share,
        ctx.args.thresholds.redis_memory,
        sentence,
        advice,
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn a_file_that_redis_cannot_write_is_critical() {
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
        assert_eq!(level(&said("ok", "ok", "ok")), (FindingLevel::Ok, FindingLevel::Ok));
        assert_eq!(level(&said("err", "ok", "err")), (FindingLevel::Critical, FindingLevel::Warning));
        assert_eq!(level(&said("ok", "err", "ok")), (FindingLevel::Ok, FindingLevel::Critical));
        assert_eq!(level(""), (FindingLevel::Unknown, FindingLevel::Unknown));
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
        assert!(!says_fork("err", 8), "the fork succeeded, and the snapshot failed after it");
        assert!(!says_fork("ok", 9));
    }
}
