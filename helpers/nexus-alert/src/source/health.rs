//! nexus-health's list of problems, and a watch over the list and nexus-health itself. If someone stops nexus-health, no unit
//! fails, and its list stays unchanged.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nexus_cli::failure::{Exit, Result};
use nexus_cli::text::{printable, shortened};
use nexus_problems::{Level, Problem};

use crate::details::{Details, Reported};
use crate::mask;

/// Sentences are cut after this many characters.
const LONGEST: usize = 500;

/// Longer than the longest interval between two checks (NEXUS_HEALTH_INTERVAL).
const SILENT: Duration = Duration::from_secs(90 * 60);

/// The problems that are known now.
pub(crate) struct Known {
    pub(crate) problems: Vec<Problem>,
    /// Whether these are all: no other problem lasts.
    pub(crate) are_all: bool,
}

/// Returns the problems of `list`, and one more if nexus-health has stopped checking. If the list is unreadable, that is a problem
/// too, and those in it are unknown.
///
/// # Errors
/// Unavailable (69) when there is no list.
pub(crate) fn problems(list: &Path) -> Result<Known> {
    let (mut problems, are_all) = match nexus_problems::read(list) {
        Ok(problems) => (problems, true),
        Err(failure) if failure.exit() == Exit::Unavailable => return Err(failure),
        Err(failure) => {
            log::error!("{failure}");
            (unreadable(list).into_iter().collect(), false)
        }
    };
    problems.extend(silence(list, SystemTime::now()));
    Ok(Known { problems, are_all })
}

/// Returns the problem that `list` is unreadable, since it was written.
fn unreadable(list: &Path) -> Option<Problem> {
    let written = list.metadata().and_then(|metadata| metadata.modified()).ok();
    let since = written.and_then(|at| Timestamp::try_from(at).ok()).unwrap_or_else(Timestamp::now);
    Some(Problem {
        id: "health-unreadable".parse().ok()?,
        level: Level::Critical,
        sentence:
            "nexus-alert cannot read nexus-health's list of problems: you get no alert about what it finds."
                .to_owned(),
        advice:
            "See why: journalctl -u nexus-alert-health; write the list again: systemctl restart nexus-health"
                .to_owned(),
        since,
    })
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
        let plain = |text: &str| shortened(&printable(&mask::one_line(text)), LONGEST);
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
        let long = said(&"long ".repeat(1000));
        assert!(long.chars().count() == LONGEST && long.ends_with("long…"), "{long}");
        let plain = "The newest backup is 50 hours old, and none is proven since 2026-11-01 03:00:12 UTC.";
        assert_eq!(said(plain), plain);
        assert_eq!(
            Details::from(problem(String::new())).reported.unwrap().advice,
            "Start it: systemctl start nexus-stack"
        );
    }

    #[test]
    fn an_unreadable_list_is_a_problem_and_hides_no_silence() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("problems.json");
        assert_eq!(problems(&list).err().map(|failure| failure.exit()), Some(Exit::Unavailable));
        let of = |text: &str| {
            std::fs::write(&list, text).unwrap();
            let Known { problems, are_all } = problems(&list).unwrap();
            (problems.iter().map(|problem| problem.id.to_string()).collect::<Vec<_>>(), are_all)
        };
        assert_eq!(of("{"), (vec!["health-unreadable".to_owned()], false));
        assert_eq!(of(r#"{"version":1,"problems":[]}"#), (Vec::new(), true));
        let health = std::fs::File::create(directory.path().join("health.json")).unwrap();
        health.set_modified(SystemTime::now() - SILENT * 2).unwrap();
        assert_eq!(of("{"), (vec!["health-unreadable".to_owned(), "health-silent".to_owned()], false));
        assert_eq!(unreadable(&list), unreadable(&list), "since when it was written");
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
