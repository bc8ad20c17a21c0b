//! Watches nexus-health, which writes its state at every check, at most an hour apart. If it is stopped by hand, no unit
//! fails, and its list of problems stays unchanged.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nexus_problems::{Level, Problem};

/// Longer than the longest time between two checks (NEXUS_HEALTH_INTERVAL).
const SILENT: Duration = Duration::from_secs(90 * 60);

/// Returns a problem if nexus-health, whose list of problems is `list`, has made no check for long. The file that it writes
/// last at each check is beside that list.
pub(crate) fn silence(list: &Path, now: SystemTime) -> Option<Problem> {
    // Without that file it has never reported; its own unit would show that.
    let at = list.with_file_name("health.json").metadata().ok()?.modified().ok()?;
    let silent = now.duration_since(at).ok().filter(|silent| *silent > SILENT)?;
    Some(Problem {
        id: "health-silent".parse().ok()?,
        level: Level::Critical,
        sentence: format!(
            "nexus-health has made no check for {} minutes: nothing is being watched.",
            silent.as_secs() / 60
        ),
        advice: "See: systemctl status nexus-health; start it: systemctl start nexus-health".to_owned(),
        since: Timestamp::try_from(at).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_that_has_not_looked_for_ninety_minutes_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("problems.json");
        let minutes = |count: u64| SystemTime::now() + Duration::from_secs(count * 60);
        assert_eq!(silence(&list, minutes(1000)), None);
        std::fs::write(directory.path().join("health.json"), "{}").unwrap();
        assert_eq!(silence(&list, minutes(89)), None);
        let told = silence(&list, minutes(100)).unwrap();
        assert!(told.sentence.contains("for 100 minutes") || told.sentence.contains("for 99 minutes"));
        // The clock was set back since.
        assert_eq!(silence(&list, SystemTime::UNIX_EPOCH), None);
    }
}
