//! Times in requests and responses.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Formats a time for a response: UTC, microseconds, `+00:00`, which every version of Python's
/// `fromisoformat` reads.
pub(crate) fn text(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// Formats the current time for a response.
pub(crate) fn now() -> String {
    text(Timestamp::now())
}

/// Parses RFC 3339. A missing offset means UTC, a missing time of day means midnight. Returns
/// `None` for other texts, and for years outside 0 to 9999.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    if text.len() > 64 {
        return None;
    }
    let utc = |moment: DateTime| moment.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let moment = text
        .parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(utc))
        .or_else(|_| text.parse::<Date>().and_then(|day| utc(day.to_datetime(jiff::civil::Time::midnight()))))
        .ok()?;
    let year = moment.to_zoned(TimeZone::UTC).year();
    (0..=9999).contains(&year).then_some(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_and_programs_write_them() {
        let noon = parse("2026-11-25T12:00:00Z").unwrap();
        for same in [
            "2026-11-25T13:00:00+01:00",
            "2026-11-25T12:00:00",
            "2026-11-25 12:00:00.000000",
            "2026-11-25t12:00:00z",
        ] {
            assert_eq!(parse(same), Some(noon), "{same}");
        }
        assert_eq!(text(noon), "2026-11-25T12:00:00.000000+00:00");
        assert_eq!(parse(&text(noon)), Some(noon));
        assert_eq!(text(parse("2026-11-25").unwrap()), "2026-11-25T00:00:00.000000+00:00");
        for wrong in
            ["", "yesterday", "2026-13-01T00:00:00Z", "-009998-01-01T00:00:00Z", "1", "2026-11-25T25:00:00Z"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
