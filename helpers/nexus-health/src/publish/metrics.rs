//! nexus.prom, for Prometheus, read by the text file collector of node_exporter or Netdata. The text is valid in both formats of
//! Prometheus: gauges have the same form in both, and `# EOF` is a comment in the older one
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use super::document::{Document, Number};
use crate::level::FindingLevel;

const LEVELS: &str = "Level: 0 well, 1 warning, 2 critical, 3 unknown.";

/// Returns the text of the file.
pub(crate) fn text(document: &Document) -> String {
    let mut text = String::new();
    let level = |level| match level {
        FindingLevel::Ok => 0.0,
        FindingLevel::Warning => 1.0,
        FindingLevel::Critical => 2.0,
        FindingLevel::Unknown => 3.0,
    };
    let own = |name: &str, help: &'static str, value: f64| Number {
        name: format!("nexus_health_{name}"),
        help,
        label: None,
        value,
    };
    let findings = document.findings.iter().map(|row| Number {
        label: Some(("finding", row.id.clone())),
        ..own("finding_level", LEVELS, level(row.level))
    });
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century, and a few actions")]
    let others = [
        own("level", LEVELS, level(document.level)),
        own("written_timestamp_seconds", "Time when this file was written.", document.at.as_second() as f64),
        own("heals", "Repairs in the last hour.", document.healing.within_an_hour as f64),
    ];
    let all = findings.chain(others).chain(document.metrics.iter().cloned());
    let mut last = String::new();
    for number in all {
        if number.name != last {
            text.push_str(&format!("# HELP {} {}\n# TYPE {0} gauge\n", number.name, number.help));
            last.clone_from(&number.name);
        }
        text.push_str(&line(&number));
    }
    text.push_str("# EOF\n");
    text
}

/// Formats a sample: `name{label="value"} 1`.
fn line(number: &Number) -> String {
    let label = number.label.as_ref().map_or_else(String::new, |(name, value)| {
        let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        format!("{{{name}=\"{value}\"}}")
    });
    format!("{}{label} {}\n", number.name, number.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, Metric};
    use crate::publish::document::Healing;
    use crate::verdict::Verdict;

    #[test]
    fn each_metric_has_one_header_and_the_file_ends_with_eof() {
        let at = "2026-11-22T03:00:00Z".parse().unwrap();
        let mut verdict = Verdict::default();
        verdict.observe(vec![Finding::ok("a", "A."), Finding::critical("b", "B.", "")], at);
        let disk = |place: &str| Metric::of("disk_free_bytes", "Free.", ("place", place), 5e12);
        let metrics = [disk("root"), Metric::one("cpu_used_ratio", "Busy.", 0.25), disk("back\"ups")];
        let healing = Healing { is_on: true, within_an_hour: 2 };
        let text = text(&Document::new(&verdict, &metrics, healing, at));
        assert_eq!(
            text,
            "# HELP nexus_health_finding_level Level: 0 well, 1 warning, 2 critical, 3 unknown.\n\
             # TYPE nexus_health_finding_level gauge\n\
             nexus_health_finding_level{finding=\"a\"} 0\n\
             nexus_health_finding_level{finding=\"b\"} 2\n\
             # HELP nexus_health_level Level: 0 well, 1 warning, 2 critical, 3 unknown.\n\
             # TYPE nexus_health_level gauge\n\
             nexus_health_level 2\n\
             # HELP nexus_health_written_timestamp_seconds Time when this file was written.\n\
             # TYPE nexus_health_written_timestamp_seconds gauge\n\
             nexus_health_written_timestamp_seconds 1795316400\n\
             # HELP nexus_health_heals Repairs in the last hour.\n\
             # TYPE nexus_health_heals gauge\n\
             nexus_health_heals 2\n\
             # HELP nexus_cpu_used_ratio Busy.\n# TYPE nexus_cpu_used_ratio gauge\nnexus_cpu_used_ratio 0.25\n\
             # HELP nexus_disk_free_bytes Free.\n# TYPE nexus_disk_free_bytes gauge\n\
             nexus_disk_free_bytes{place=\"back\\\"ups\"} 5000000000000\n\
             nexus_disk_free_bytes{place=\"root\"} 5000000000000\n# EOF\n"
        );
    }
}
