//! The thresholds of a measured value: `85%:95%` in the settings.

use std::str::FromStr;

use crate::level::FindingLevel;

/// The hysteresis: a value must be better than a threshold by this share of it before its level improves. So a value that
/// oscillates by less changes its level once.
pub(crate) const MARGIN: f64 = 0.05;

/// The two thresholds of a value. If `warning` is above `critical`, less is worse, as with the days until a disk is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    pub(crate) warning: f64,
    pub(crate) critical: f64,
}

impl Limits {
    /// Returns the level of `value` without hysteresis.
    pub(crate) fn level(self, value: f64) -> FindingLevel {
        self.moved(0.0).reached_by(value)
    }

    /// Returns the level of `value` with hysteresis, for a value that was worse.
    pub(crate) fn level_on_the_way_back(self, value: f64) -> FindingLevel {
        self.moved(MARGIN).reached_by(value)
    }

    fn less_is_worse(self) -> bool {
        self.critical < self.warning
    }

    /// Returns both thresholds, moved towards better values by `share` of themselves.
    fn moved(self, share: f64) -> Self {
        let factor = if self.less_is_worse() { 1.0 + share } else { 1.0 - share };
        Self { warning: self.warning * factor, critical: self.critical * factor }
    }

    fn reached_by(self, value: f64) -> FindingLevel {
        let reached = |limit: f64| if self.less_is_worse() { value <= limit } else { value >= limit };
        if reached(self.critical) {
            FindingLevel::Critical
        } else if reached(self.warning) {
            FindingLevel::Warning
        } else {
            FindingLevel::Ok
        }
    }
}

/// A setting: two thresholds, or `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Threshold(pub(crate) Option<Limits>);

/// Parses `85%:95%` as shares of 1.
pub(crate) fn percent(text: &str) -> Result<Threshold, String> {
    parse(text, "85%:95%", |part| {
        let number: f64 = part.strip_suffix('%')?.trim().parse().ok()?;
        (0.0..=100.0).contains(&number).then_some(number / 100.0)
    })
}

/// Parses `30h:3days` in seconds.
pub(crate) fn duration(text: &str) -> Result<Threshold, String> {
    parse(text, "30h:3d", |part| humantime::parse_duration(part).ok().map(|d| d.as_secs_f64()))
}

/// Parses `4g:16g` in bytes.
pub(crate) fn bytes(text: &str) -> Result<Threshold, String> {
    parse(text, "4g:16g", |part| {
        let (digits, factor) = match part.chars().last()?.to_ascii_lowercase() {
            'k' => (&part[..part.len() - 1], 1024.0),
            'm' => (&part[..part.len() - 1], 1024.0 * 1024.0),
            'g' => (&part[..part.len() - 1], 1024.0 * 1024.0 * 1024.0),
            _ => (part, 1.0),
        };
        number::<u32>(digits).map(|number| number * factor)
    })
}

/// Parses `1:3`.
pub(crate) fn count(text: &str) -> Result<Threshold, String> {
    parse(text, "1:3", number::<u32>)
}

fn number<T: FromStr + Into<f64>>(text: &str) -> Option<f64> {
    text.parse::<T>().ok().map(Into::into)
}

fn parse(text: &str, example: &str, one: impl Fn(&str) -> Option<f64>) -> Result<Threshold, String> {
    if text == "off" {
        return Ok(Threshold(None));
    }
    let both = text.split_once(':').and_then(|(warning, critical)| {
        Some(Limits { warning: one(warning.trim())?, critical: one(critical.trim())? })
    });
    both.map(|limits| Threshold(Some(limits))).ok_or_else(|| {
        format!("not a pair of thresholds; expected warning:critical, such as {example}, or off")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_unit_is_parsed() {
        let of = |warning, critical| Ok(Threshold(Some(Limits { warning, critical })));
        assert_eq!(percent("85%:95%"), of(0.85, 0.95));
        assert_eq!(duration("30h:3days"), of(108_000.0, 259_200.0));
        assert_eq!(bytes("512m:4g"), of(536_870_912.0, 4_294_967_296.0));
        assert_eq!(count("1:3"), of(1.0, 3.0));
        assert_eq!(count("off"), Ok(Threshold(None)));
        for bad in ["", "85%", "85:95", "-1%:5%", "85%:101%", "85%:95%:99%"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
        assert!(bytes("é:1g").is_err() && bytes("4:").is_err() && duration("1:2").is_err());
    }

    #[test]
    fn less_is_worse_when_the_warning_is_above() {
        let days = Limits { warning: 30.0, critical: 7.0 };
        assert_eq!(
            [40.0, 30.0, 8.0, 7.0, 0.0].map(|d| days.level(d)),
            [
                FindingLevel::Ok,
                FindingLevel::Warning,
                FindingLevel::Warning,
                FindingLevel::Critical,
                FindingLevel::Critical
            ]
        );
    }

    proptest! {
        #[test]
        fn malformed_text_never_panics(text in "\\PC{0,20}") {
            let _either = (percent(&text), duration(&text), bytes(&text), count(&text));
        }

        #[test]
        fn hysteresis_never_improves_a_level(
            a in 0.1f64..1000.0, b in 0.1f64..1000.0, value in 0.0f64..2000.0
        ) {
            let limits = Limits { warning: a, critical: b };
            prop_assert!(limits.level_on_the_way_back(value) >= limits.level(value));
        }
    }
}
