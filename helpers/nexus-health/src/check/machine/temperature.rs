//! The temperature of the hottest part, if the kernel reports temperatures.

use std::fs;
use std::path::Path;

use crate::context::Context;
use crate::finding::{Finding, Metric};
use crate::report::Report;

/// The thermal zones. Their file `temp` is in thousandths of a degree (the kernel's
/// Documentation/driver-api/thermal/sysfs-api.rst).
const ZONES: &str = "/sys/class/thermal";

pub(super) fn check(ctx: &Context, report: &mut Report) {
    // A virtual machine has none.
    let Some(hottest) = hottest(Path::new(ZONES)) else { return };
    report.metric(Metric::one("temperature_celsius", "Temperature of the hottest part.", hottest));
    let sentence = format!("The hottest part is at {hottest:.0} °C.");
    let advice = "Check the fans and the air flow";
    let limits = ctx.args.thresholds.temperature;
    report.found(Finding::measured("temperature", hottest, limits, sentence, advice).patient(3));
}

fn hottest(zones: &Path) -> Option<f64> {
    let zones = fs::read_dir(zones).ok()?.filter_map(Result::ok);
    let zones = zones.filter(|zone| zone.file_name().to_string_lossy().starts_with("thermal_zone"));
    let read = zones.filter_map(|zone| fs::read_to_string(zone.path().join("temp")).ok());
    let degrees =
        read.filter_map(|text| text.trim().parse::<f64>().ok()).map(|thousandths| thousandths / 1000.0);
    // Disconnected sensors report impossible values.
    degrees.filter(|degrees| (-40.0..=150.0).contains(degrees)).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_zone_counts_and_the_impossible_does_not() {
        let zones = tempfile::tempdir().unwrap();
        assert_eq!(hottest(zones.path()), None);
        for (name, text) in [
            ("thermal_zone0", "41000\n"),
            ("thermal_zone1", "63500\n"),
            ("thermal_zone2", "-274000\n"),
            ("cooling_device0", "90000\n"),
        ] {
            fs::create_dir(zones.path().join(name)).unwrap();
            fs::write(zones.path().join(name).join("temp"), text).unwrap();
        }
        assert_eq!(hottest(zones.path()), Some(63.5));
    }
}
