//! The memory in use.

use super::in_percent;
use crate::context::Context;
use crate::finding::{Finding, Metric};
use crate::report::Report;

pub(super) fn check(ctx: &Context, report: &mut Report) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let Some(used) = used(&text) else {
        report.found(Finding::unknown("memory", "The memory in use cannot be read from /proc/meminfo.", ""));
        return;
    };
    report.metric(Metric::one("memory_used_ratio", "Memory in use: all but MemAvailable.", used));
    let sentence = format!("{} of the memory is in use.", in_percent(used));
    let advice = "See what uses the memory: systemd-cgtop --order=memory; to give PostgreSQL less, lower NEXUS_POSTGRES_MEMORY in \
                  /etc/nexus/nexus.env, then: nexus-setup";
    report.found(Finding::measured("memory", used, ctx.args.thresholds.memory, sentence, advice).patient(2));
}

/// Returns the share of `MemTotal` that is not `MemAvailable` (proc(5)).
fn used(meminfo: &str) -> Option<f64> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
    };
    let total = field("MemTotal").filter(|&total| total > 0.0)?;
    Some((1.0 - field("MemAvailable")? / total).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_not_in_use() {
        let text = "MemTotal:        1000 kB\nMemFree:          10 kB\nMemAvailable:    250 kB\n";
        assert_eq!(used(text), Some(0.75));
        assert_eq!(used("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), None);
    }
}
