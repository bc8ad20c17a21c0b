//! What is told: a subject, a text and an object, the same for every way.

use jiff::Timestamp;
use nexus_cli::text::{counted, moment, printable};
use nexus_problems::Level;
use serde::Serialize;

use crate::about::About;
use crate::facts::Found;
use crate::problem::{Kind, Problem};

/// The version of the object that webhooks and commands get.
const FORMAT: u32 = 1;

/// A message to the owner. Serialized it is what webhooks and commands get.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Alert {
    format: u32,
    /// The same message has the same, also when it comes twice because the machine went down between sending it and noting that.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    host: String,
    /// The unit that has failed, if it is about one.
    pub(crate) unit: Option<String>,
    /// The name of what nexus-health has found, if it is about that …
    pub(crate) problem: Option<String>,
    /// … how bad it is …
    pub(crate) level: Option<Level>,
    /// … and what to do about it.
    advice: Option<String>,
    /// One line.
    pub(crate) subject: String,
    result: Option<String>,
    exit: Option<String>,
    /// When it began …
    began: Option<Timestamp>,
    /// … when the unit last failed …
    last: Option<Timestamp>,
    /// … and when it was over.
    over: Option<Timestamp>,
    failures: u64,
    /// How many other problems last.
    pub(crate) others: u64,
    /// The last lines of the unit's journal, secrets masked.
    lines: Vec<String>,
}

impl Alert {
    /// What is told of `problem` in its message of this number, while so many others last.
    pub(crate) fn of(problem: &Problem, kind: Kind, number: u64, others: u64) -> Self {
        let (host, about) = (host(), &problem.about);
        let (name, facts) = (about.to_string().replace('@', "-"), problem.facts.clone());
        let is_test = *about == About::Test;
        let id = match about {
            About::Health(id) => Some(id.to_string()),
            About::Unit(_) | About::Test => None,
        };
        let (level, advice) = facts.found.map(|found| (found.level, found.advice)).unzip();
        Self {
            format: FORMAT,
            id: format!("{name}.{}.{number}", problem.began.as_millisecond()),
            kind,
            subject: subject(problem, kind, &host),
            host,
            unit: about.unit().map(ToString::to_string),
            problem: id,
            level,
            advice: advice.filter(|_| kind != Kind::Over),
            result: facts.result,
            exit: facts.exit,
            began: Some(problem.began).filter(|_| !is_test),
            last: Some(problem.last).filter(|last| about.unit().is_some() && *last >= problem.began),
            over: problem.over.filter(|_| !is_test),
            failures: if about.unit().is_some() { problem.failures } else { 0 },
            others,
            lines: facts.lines,
        }
    }

    /// Whether something is wrong that a person should look at soon.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.kind, Kind::Failed | Kind::Worse | Kind::Still)
    }

    /// This machine's name, as a mail may hold it.
    pub(crate) fn host(&self) -> &str {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        if self.host.chars().all(is_plain) { &self.host } else { "localhost" }
    }

    /// Returns the text for people: the subject, what is known, what to do next, the lines.
    pub(crate) fn text(&self) -> String {
        self.text_within(usize::MAX)
    }

    /// Returns the text in at most `most` bytes. The journal's oldest lines go first, because the newest say why; what
    /// happened goes last.
    pub(crate) fn text_within(&self, most: usize) -> String {
        let head = self.head();
        let title = |left_out| match left_out {
            0 => "\n\nThe last lines of its journal before it failed (UTC):\n\n".to_owned(),
            _ => format!(
                "\n\nThe last lines of its journal before it failed (UTC), without {} that did not fit:\n\n",
                counted(left_out, "older line")
            ),
        };
        let mut lines = (0..self.lines.len()).map(|from| {
            format!("{}{}", title(from as u64), self.lines.get(from..).unwrap_or_default().join("\n"))
        });
        let fits = |rest: &String| head.len() + rest.len() < most;
        let rest = lines.find(fits).unwrap_or_default();
        format!("{}{rest}\n", up_to(&head, most.saturating_sub(1)))
    }

    /// Returns the same alert without its lines, for a receiver that takes no more.
    pub(crate) fn without_lines(&self) -> Self {
        let lines = if self.lines.is_empty() {
            Vec::new()
        } else {
            vec!["(left out: the receiver accepts no message of that length)".to_owned()]
        };
        Self { lines, ..self.clone() }
    }

    fn head(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        let mut say = |what: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!("\n{what:<14}{value}"));
            }
        };
        say("result", self.result.clone());
        say("process", self.exit.clone());
        say("since", self.began.map(moment));
        say("failed last", self.last.filter(|last| Some(*last) != self.began).map(moment));
        say("failures", (self.failures > 1).then(|| self.failures.to_string()));
        say("over", self.over.map(moment));
        say("what to do", self.advice.clone());
        let of_unit = |unit| format!("systemctl status {unit}; journalctl --catalog --unit={unit}");
        say("see", self.unit.as_ref().map(of_unit));
        say("see", self.problem.as_ref().map(|_| "nexus-health --once".to_owned()));
        say("others", (self.others > 0).then(|| counted(self.others, "other problem") + " besides"));
        text
    }

    /// The subject for where only ASCII may stand, in one line.
    pub(crate) fn ascii_subject(&self) -> String {
        let plain = |c: char| if c.is_ascii() { c } else { '?' };
        format!("NEXUS: {}", printable(&self.subject)).chars().map(plain).collect()
    }
}

/// Returns the last place up to byte `most` between two characters of `text`.
pub(crate) fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Returns the beginning of `text` that fits into `most` bytes, with `…` where something was cut off.
fn up_to(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..boundary(text, most.saturating_sub("…".len()))])
}

/// What it is about, in one line.
fn subject(problem: &Problem, kind: Kind, host: &str) -> String {
    let about = &problem.about;
    if let Some(found) = &problem.facts.found {
        let Found { level, sentence, .. } = found;
        return match kind {
            Kind::Still => format!("still {level} on {host}: {sentence}"),
            Kind::Over => format!("over on {host}: {sentence}"),
            Kind::Failed | Kind::Worse | Kind::Test => format!("{level} on {host}: {sentence}"),
        };
    }
    match kind {
        Kind::Still => {
            let since = moment(problem.began);
            format!("{about} on {host} still fails, {} since {since}", counted(problem.failures, "time"))
        }
        Kind::Over => format!("{about} on {host} is well again"),
        Kind::Test => format!("test alert from NEXUS on {host}: nothing has failed"),
        Kind::Failed | Kind::Worse => format!("{about} on {host} has failed"),
    }
}

/// This machine's name.
fn host() -> String {
    // A machine without a name that can be read is still one that has to tell.
    nix::unistd::gethostname()
        .map_or_else(|_| "this machine".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::facts::Facts;

    fn problem() -> Problem {
        let facts = Facts {
            result: Some("exit-code".to_owned()),
            exit: Some("exited, status 74".to_owned()),
            lines: vec!["03:00:12 nexus-backup: it broke".to_owned()],
            found: None,
        };
        Problem::begins("nexus-backup.service".parse().unwrap(), facts, &[], Timestamp::UNIX_EPOCH)
    }

    fn finding() -> Problem {
        let found = nexus_problems::Problem {
            id: "disk-backups".parse().unwrap(),
            level: Level::Warning,
            sentence: "The disk of the backups is 92 % full.".to_owned(),
            advice: "Free some space there".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        };
        Problem::begins("disk-backups.health".parse().unwrap(), found.into(), &[], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_person_reads_what_failed_how_when_and_where_to_look() {
        let mut alert = Alert::of(&problem(), Kind::Failed, 1, 0);
        alert.subject = alert.subject.replace(&alert.host, "HOST");
        assert_eq!(
            alert.text(),
            "nexus-backup.service on HOST has failed\n\
             \n\
             result        exit-code\n\
             process       exited, status 74\n\
             since         1970-01-01 00:00:00 UTC\n\
             see           systemctl status nexus-backup.service; journalctl --catalog --unit=nexus-backup.service\n\
             \n\
             The last lines of its journal before it failed (UTC):\n\
             \n\
             03:00:12 nexus-backup: it broke\n"
        );
    }

    #[test]
    fn a_person_reads_what_health_has_found_and_what_to_do() {
        let mut alert = Alert::of(&finding(), Kind::Failed, 1, 2);
        alert.subject = alert.subject.replace(&alert.host, "HOST");
        assert_eq!(
            alert.text(),
            "warning on HOST: The disk of the backups is 92 % full.\n\
             \n\
             since         1970-01-01 00:00:00 UTC\n\
             what to do    Free some space there\n\
             see           nexus-health --once\n\
             others        2 other problems besides\n"
        );
        assert!(Alert::of(&finding(), Kind::Over, 2, 0).subject.starts_with("over on "));
    }

    #[test]
    fn a_program_reads_the_same_as_an_object() {
        let alert = serde_json::to_value(Alert::of(&problem(), Kind::Failed, 1, 0)).unwrap();
        assert_eq!(alert["format"], 1);
        assert_eq!(alert["kind"], "failed");
        assert_eq!(alert["unit"], "nexus-backup.service");
        assert_eq!(alert["began"], "1970-01-01T00:00:00Z");
        assert_eq!(alert["over"], serde_json::Value::Null);
        assert_eq!(alert["lines"][0], "03:00:12 nexus-backup: it broke");
    }

    #[test]
    fn a_text_that_is_too_long_loses_the_oldest_lines_of_the_journal() {
        let mut alert = Alert::of(&problem(), Kind::Failed, 1, 0);
        alert.lines = (1..=20).map(|number| format!("{number} {}", "ñandú ".repeat(80))).collect();
        let (whole, cut) = (alert.text(), alert.text_within(4096));
        assert!(whole.len() > 4096 && cut.len() <= 4096, "{} and {}", whole.len(), cut.len());
        assert!(cut.starts_with(&alert.head()) && cut.contains(" older lines that did not fit"), "{cut}");
        let shown = cut.split("\n\n").last().unwrap().lines().count();
        let next = &alert.lines[20 - shown - 1];
        assert!(shown > 2 && cut.len() + next.len() + 1 > 4096, "{shown} lines of {cut}");
        assert!(whole.ends_with(cut.split("\n\n").last().unwrap()));
        assert_eq!(alert.text_within(whole.len()), whole);
    }

    #[test]
    fn no_subject_can_begin_another_header() {
        let mut alert = Alert::of(&problem(), Kind::Failed, 1, 0);
        alert.subject = "é\r\nBcc: x".to_owned();
        assert_eq!(alert.ascii_subject(), "NEXUS: ?\\r\\nBcc: x");
    }

    proptest! {
        /// Every text keeps within its limit and begins with what happened.
        #[test]
        fn a_text_never_exceeds_its_limit(
            lines in proptest::collection::vec("\\PC{0,500}", 0..20),
            sentence in "\\PC{0,500}",
            most in 200usize..6000,
        ) {
            let mut alert = Alert::of(&problem(), Kind::Failed, 1, 0);
            (alert.lines, alert.subject) = (lines, sentence);
            let (whole, cut) = (alert.text(), alert.text_within(most));
            prop_assert!(cut.len() <= most);
            prop_assert!(cut == whole || whole.len() > most);
            prop_assert!(whole.starts_with(cut.trim_end().trim_end_matches('…')) || cut.starts_with(&alert.head()));
        }
    }
}
