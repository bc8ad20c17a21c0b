//! nexus-health's list of problems, and a watch over nexus-health itself. If someone stops nexus-health, no unit fails, and
//! its list stays unchanged.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nexus_cli::failure::Result;
use nexus_cli::text::printable;
use nexus_problems::{Level, Problem};

use crate::details::{Details, Reported};
use crate::mask;

/// Sentences are cut after this many characters.
const LONGEST: usize = 500;

/// Longer than the longest interval between two checks (NEXUS_HEALTH_INTERVAL).
const SILENT: Duration = Duration::from_secs(90 * 60);

/// Returns the problems of `list`, and one more if nexus-health has stopped checking.
///
/// # Errors
/// As [`nexus_problems::read`].
pub(crate) fn problems(list: &Path) -> Result<Vec<Problem>> {
    let mut problems = nexus_problems::read(list)?;
    problems.extend(silence(list, SystemTime::now()));
    Ok(problems)
}

/// Returns a problem if nexus-health, whose list is `list`, has made no check for [`SILENT`].
fn silence(list: &Path, now: SystemTime) -> Option<Problem> {
    // nexus-health writes health.json last, at every check. Without it, nexus-health has never reported; its unit shows that.
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

/// Masks secrets, because a sentence may quote a server or a file, and cuts it to one line that a person can read.
impl From<Problem> for Details {
    fn from(problem: Problem) -> Self {
        let plain = |text: &str| printable(&mask::one_line(text)).chars().take(LONGEST).collect::<String>();
        let reported = Reported {
            level: problem.level,
            sentence: plain(&problem.sentence),
            advice: plain(&problem.advice),
            since: problem.since,
        };
        Self { reported: Some(reported), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_sentence_is_masked_cut_and_one_line() {
        let problem = |sentence: String| Problem {
            id: "postgres".parse().unwrap(),
            level: Level::Critical,
            sentence,
            advice: "Start it: systemctl start nexus-stack".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        };
        let said = |sentence: &str| Details::from(problem(sentence.to_owned())).reported.unwrap().sentence;
        assert_eq!(said("It says\npassword=hunter2"), "It says\\npassword=[masked]");
        assert_eq!(said(&"long ".repeat(1000)).len(), LONGEST);
        let plain = "The newest backup is 50 hours old, and none is proven since 2026-11-01 03:00:12 UTC.";
        assert_eq!(said(plain), plain);
        assert_eq!(
            Details::from(problem(String::new())).reported.unwrap().advice,
            "Start it: systemctl start nexus-stack"
        );
    }

    #[test]
    fn nexus_health_silent_for_ninety_minutes_is_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("problems.json");
        let minutes = |count: u64| SystemTime::now() + Duration::from_secs(count * 60);
        assert_eq!(silence(&list, minutes(1000)), None);
        std::fs::write(directory.path().join("health.json"), "{}").unwrap();
        assert_eq!(silence(&list, minutes(89)), None);
        let told = silence(&list, minutes(100)).unwrap();
        assert!(told.sentence.contains("for 100 minutes") || told.sentence.contains("for 99 minutes"));
        // The clock was set back.
        assert_eq!(silence(&list, SystemTime::UNIX_EPOCH), None);
    }
}
