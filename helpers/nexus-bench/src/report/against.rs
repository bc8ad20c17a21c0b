//! Compares with an earlier report, and lists changes beyond the noise of both.

use std::path::Path;

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::text::moment;

use crate::report::{Better, Figure, Report};

/// The least change of a figure that is listed, as a share. Two equal runs may differ by less.
const NOISE: f64 = 0.1;

/// Reads the earlier report.
///
/// # Errors
/// I/O; Usage (64) if it is not a report of `bench`.
pub(crate) fn read(file: &Path, bench: &str) -> Result<Report> {
    let doing = || format!("reading the earlier report {}", file.display());
    let text = std::fs::read_to_string(file).or_fail_io(doing)?;
    let report: Report = serde_json::from_str(&text).or_fail(Exit::Usage, doing)?;
    if report.bench == bench {
        return Ok(report);
    }
    Err(Failure::new(Exit::Usage, doing())
        .because(format!("it is a report of nexus-bench {}, not of {bench}", report.bench)))
}

/// Describes the changes, with one line for each figure.
pub(crate) fn compare(earlier: &Report, now: &Report) -> String {
    let mut text = format!("\nAgainst {}:\n", moment(earlier.at));
    if earlier.settings != now.settings || earlier.machine.processor != now.machine.processor {
        text.push_str("The settings or the machine differ, so the comparison may mean nothing.\n");
    }
    let mut changed = 0;
    for measure in &now.measures {
        let Some(before) = earlier.measures.iter().find(|before| before.name == measure.name) else {
            continue;
        };
        for figure in &measure.figures {
            let Some(was) = before.figures.iter().find(|was| was.name == figure.name) else { continue };
            if let Some(word) = verdict(was, figure) {
                changed += 1;
                text.push_str(&format!(
                    "{word}: {}, {}: {:.3} before, {:.3} now\n",
                    measure.name, figure.name, was.value, figure.value
                ));
            }
        }
    }
    if changed == 0 {
        text.push_str("Nothing has changed beyond the noise.\n");
    }
    text
}

/// Returns `worse` or `better` if the medians differ by more than the runs of either.
fn verdict(was: &Figure, is: &Figure) -> Option<&'static str> {
    let noise = NOISE.max(spread(was)).max(spread(is));
    let change = (is.value - was.value) / was.value.abs().max(f64::MIN_POSITIVE);
    if change.abs() <= noise {
        return None;
    }
    Some(if (change > 0.0) == (is.better == Better::Higher) { "better" } else { "worse" })
}

/// Returns the range of the runs, as a share of the median.
fn spread(figure: &Figure) -> f64 {
    let least = figure.runs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figure.runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if figure.value > 0.0 && most.is_finite() { (most - least) / figure.value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_beyond_the_noise_are_listed() {
        let lower = |runs: &[f64]| Figure::lower("s", runs.to_vec());
        let higher = |runs: &[f64]| Figure::higher("1/s", runs.to_vec());
        assert_eq!(verdict(&lower(&[1.0, 1.0, 1.0]), &lower(&[1.05, 1.05, 1.05])), None);
        assert_eq!(verdict(&lower(&[1.0]), &lower(&[1.5])), Some("worse"));
        assert_eq!(verdict(&lower(&[1.0]), &lower(&[0.5])), Some("better"));
        assert_eq!(verdict(&higher(&[1.0]), &higher(&[0.5])), Some("worse"));
        assert_eq!(verdict(&lower(&[0.6, 1.0, 1.6]), &lower(&[1.5, 1.5, 1.5])), None);
    }
}
