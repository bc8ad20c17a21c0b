//! How busy the processors are, on average between two checks.

use std::thread;
use std::time::Duration;

use super::in_percent;
use crate::context::Context;
use crate::finding::{Finding, Metric};
use crate::report::Report;

/// A few minutes of work are normal.
const PATIENCE: u32 = 10;

/// The first check has no earlier sample, so it takes two, this far apart.
const FIRST: Duration = Duration::from_millis(200);

/// The ticks since boot (proc(5), `/proc/stat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    busy: u64,
    all: u64,
}

pub(super) fn check(last: &mut Option<Sample>, ctx: &Context, report: &mut Report) {
    let before = last.or_else(|| {
        let first = sample();
        thread::sleep(FIRST);
        first
    });
    let now = sample();
    *last = now;
    let Some(share) = before.zip(now).and_then(|(before, now)| share(before, now)) else {
        report.found(Finding::unknown(
            "cpu",
            "The load of the processors cannot be read from /proc/stat.",
            "",
        ));
        return;
    };
    report.metric(Metric::one("cpu_used_ratio", "Processors in use since the last check.", share));
    let sentence = format!("The processors are busy {} of the time.", in_percent(share));
    let advice = "See what keeps them busy: systemd-cgtop";
    let finding = Finding::measured("cpu", share, ctx.args.thresholds.cpu, sentence, advice);
    report.found(finding.patient(PATIENCE));
}

fn sample() -> Option<Sample> {
    parse(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// Parses `cpu  user nice system idle iowait irq softirq steal …`. The time of guests is in `user` already.
fn parse(stat: &str) -> Option<Sample> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let all = ticks.iter().sum();
    let idle: u64 = ticks.get(3)? + ticks.get(4)?;
    Some(Sample { busy: all - idle, all })
}

fn share(before: Sample, now: Sample) -> Option<f64> {
    let all = now.all.checked_sub(before.all).filter(|&all| all > 0)?;
    // Idle time may step back a little on some kernels.
    #[expect(clippy::cast_precision_loss, reason = "ticks of one interval")]
    let share = now.busy.saturating_sub(before.busy) as f64 / all as f64;
    Some(share.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_neither_idle_nor_waiting_for_a_disk() {
        let before = parse("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(before, Sample { busy: 200, all: 1000 });
        let now = parse("cpu  175 0 100 725 100 0 0 0 50 0\n").unwrap();
        assert_eq!(share(before, now), Some(0.75));
        assert_eq!(share(now, now), None);
        assert_eq!(parse("cpu x\n"), None);
    }
}
