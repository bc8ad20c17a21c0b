//! Pressure: the share of time in which work had to wait (PSI, the kernel's Documentation/accounting/psi.rst).

use std::fs;
use std::io::ErrorKind;

use super::in_percent;
use crate::context::Context;
use crate::finding::{Finding, Metric};
use crate::report::Report;

/// The file below /proc/pressure, the line and the average that count, and the resource for people. On a busy processor some
/// task always waits; it is bad when all tasks wait for memory or a disk. Memory gets a short average, because it runs out
/// fast.
const KINDS: [(&str, &str, &str, &str); 3] = [
    ("cpu", "some", "avg300", "a processor"),
    ("memory", "full", "avg60", "memory"),
    ("io", "full", "avg300", "a disk"),
];

pub(super) fn check(ctx: &Context, report: &mut Report) {
    for (kind, line, average, what) in KINDS {
        let id = format!("pressure-{kind}");
        let text = match fs::read_to_string(format!("/proc/pressure/{kind}")) {
            // The kernel does not have it, or has it turned off (EOPNOTSUPP).
            Err(error) if error.kind() != ErrorKind::PermissionDenied => continue,
            text => text.unwrap_or_default(),
        };
        let Some(share) = share(&text, line, average) else {
            report.found(Finding::unknown(id, format!("/proc/pressure/{kind} cannot be read."), ""));
            continue;
        };
        report.metric(Metric::of(
            "pressure_ratio",
            "Share of the last minutes in which work waited.",
            ("resource", kind),
            share,
        ));
        let sentence = format!("Work waited for {what} {} of the time.", in_percent(share));
        let advice = "See which units use the most: systemd-cgtop";
        report.found(Finding::measured(id, share, ctx.args.thresholds.pressure, sentence, advice).patient(2));
    }
}

/// Parses `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, whose numbers are percentages.
fn share(text: &str, line: &str, average: &str) -> Option<f64> {
    let line = text.lines().find(|l| l.split_whitespace().next() == Some(line))?;
    let value = line.split_whitespace().find_map(|word| word.strip_prefix(average)?.strip_prefix('='))?;
    value.parse::<f64>().ok().map(|percent| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_and_the_average_that_count() {
        let text = "some avg10=1.00 avg60=2.00 avg300=3.00 total=4\nfull avg10=5.00 avg60=60.00 avg300=7.00 total=8\n";
        assert_eq!(share(text, "full", "avg60"), Some(0.6));
        assert_eq!(share(text, "some", "avg300"), Some(0.03));
        assert_eq!(share("", "some", "avg300"), None);
    }
}
