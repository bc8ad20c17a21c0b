//! The hottest part, where the kernel offers temperatures.

use std::fs;
use std::path::Path;

use crate::finding::{Finding, Metric};
use crate::look::{Ctx, Look};

/// `temp` of each, in thousandths of a degree (the kernel's Documentation/driver-api/thermal/sysfs-api.rst).
const ZONES: &str = "/sys/class/thermal";

pub(super) fn look(ctx: &Ctx, look: &mut Look) {
    // A virtual machine has none, and there is nothing to say then.
    let Some(hottest) = hottest(Path::new(ZONES)) else { return };
    look.metric(Metric::one("temperature_celsius", "Temperature of the hottest part.", hottest));
    let sentence = format!("The hottest part has {hottest:.0} °C.");
    let advice = "See to it that its air comes through";
    let limits = ctx.args.thresholds.temperature;
    look.found(Finding::measured("temperature", hottest, limits, sentence, advice).patient(3));
}

fn hottest(zones: &Path) -> Option<f64> {
    let zones = fs::read_dir(zones).ok()?.filter_map(Result::ok);
    let zones = zones.filter(|zone| zone.file_name().to_string_lossy().starts_with("thermal_zone"));
    let read = zones.filter_map(|zone| fs::read_to_string(zone.path().join("temp")).ok());
    let degrees =
        read.filter_map(|text| text.trim().parse::<f64>().ok()).map(|thousandths| thousandths / 1000.0);
    // Sensors that are not connected say impossible things.
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
