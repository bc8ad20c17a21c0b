//! The alert: a title, a text and a JSON object, the same for every channel.

use jiff::Timestamp;
use nexus_cli::text::{counted, moment, printable};
use nexus_problems::Level;
use serde::Serialize;

use crate::details::Reported;
use crate::incident::{AlertKind, Incident};
use crate::subject::Subject;

/// The version of the JSON object.
const FORMAT: u32 = 1;

/// A message to the owner. Serialized, it is what webhooks and commands get.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Alert {
    format: u32,
    /// Identifies the message. A message that is sent twice, because the machine crashed after the first time, has the same id.
    pub(crate) id: String,
    pub(crate) kind: AlertKind,
    host: String,
    /// The unit that failed, if the alert is about one.
    pub(crate) unit: Option<String>,
    /// The name of the problem, if the alert is about one of nexus-health.
    pub(crate) problem: Option<String>,
    /// The level of the problem.
    pub(crate) level: Option<Level>,
    /// What to do about the problem.
    advice: Option<String>,
    /// What happened, in one line.
    #[serde(rename = "subject")]
    pub(crate) title: String,
    result: Option<String>,
    exit: Option<String>,
    began: Option<Timestamp>,
    /// When the unit last failed.
    #[serde(rename = "last")]
    last_failure: Option<Timestamp>,
    /// When the incident was over.
    #[serde(rename = "over")]
    resolved: Option<Timestamp>,
    failures: u64,
    /// How many other incidents last.
    pub(crate) others: u64,
    /// The last lines of the unit's journal, secrets masked.
    lines: Vec<String>,
}

impl Alert {
    /// Returns message `number` about `incident`, while `others` other incidents last.
    pub(crate) fn of(incident: &Incident, kind: AlertKind, number: u64, others: u64) -> Self {
        let (host, subject) = (host(), &incident.subject);
        let (name, details) = (subject.to_string().replace('@', "-"), incident.details.clone());
        let (unit, problem) = match subject {
            Subject::Unit(unit) => (Some(unit.to_string()), None),
            Subject::Health(id) => (None, Some(id.to_string())),
            Subject::Test => (None, None),
        };
        let is_test = *subject == Subject::Test;
        let (level, advice) = details.reported.map(|reported| (reported.level, reported.advice)).unzip();
        Self {
            format: FORMAT,
            id: format!("{name}.{}.{number}", incident.began.as_millisecond()),
            kind,
            title: title(incident, kind, &host),
            host,
            level,
            advice: advice.filter(|_| kind != AlertKind::Resolved),
            result: details.result,
            exit: details.exit,
            began: Some(incident.began).filter(|_| !is_test),
            last_failure: Some(incident.last_failure)
                .filter(|last| unit.is_some() && *last >= incident.began),
            resolved: incident.resolved.filter(|_| !is_test),
            failures: if unit.is_some() { incident.failures } else { 0 },
            others,
            lines: details.lines,
            unit,
            problem,
        }
    }

    /// Returns whether the owner should act soon.
    pub(crate) fn is_bad(&self) -> bool {
        match self.kind {
            AlertKind::Failed | AlertKind::Escalated | AlertKind::Reminder => true,
            AlertKind::Resolved | AlertKind::Test => false,
        }
    }

    /// Returns this machine's name, in the form that a mail allows.
    pub(crate) fn host(&self) -> &str {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        if self.host.chars().all(is_plain) { &self.host } else { "localhost" }
    }

    /// Returns the text for people: the title, the details, what to do, the journal's lines.
    pub(crate) fn text(&self) -> String {
        self.text_within(usize::MAX)
    }

    /// Returns the text in at most `most` bytes. Leaves out the oldest lines of the journal first, because the newest
    /// contain the cause, and cuts the title last.
    pub(crate) fn text_within(&self, most: usize) -> String {
        let head = self.head();
        let heading = |left_out| match left_out {
            0 => "\n\nThe last lines of its journal before it failed (UTC):\n\n".to_owned(),
            _ => format!(
                "\n\nThe last lines of its journal before it failed (UTC), without {} that did not fit:\n\n",
                counted(left_out, "older line")
            ),
        };
        let mut lines = (0..self.lines.len()).map(|from| {
            format!("{}{}", heading(from as u64), self.lines.get(from..).unwrap_or_default().join("\n"))
        });
        let fits = |rest: &String| head.len() + rest.len() < most;
        let rest = lines.find(fits).unwrap_or_default();
        format!("{}{rest}\n", up_to(&head, most.saturating_sub(1)))
    }

    /// Returns the alert without the journal's lines, for a server that accepts no longer message.
    pub(crate) fn without_lines(&self) -> Self {
        let lines = if self.lines.is_empty() {
            Vec::new()
        } else {
            vec!["(left out: the receiver accepts no message of that length)".to_owned()]
        };
        Self { lines, ..self.clone() }
    }

    fn head(&self) -> String {
        let mut text = format!("{}\n", self.title);
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!("\n{name:<14}{value}"));
            }
        };
        add("result", self.result.clone());
        add("process", self.exit.clone());
        add("since", self.began.map(moment));
        add("last failure", self.last_failure.filter(|last| Some(*last) != self.began).map(moment));
        add("failures", (self.failures > 1).then(|| self.failures.to_string()));
        add("over", self.resolved.map(moment));
        add("what to do", self.advice.clone());
        let of_unit = |unit| format!("systemctl status {unit}; journalctl --catalog --unit={unit}");
        add("see", self.unit.as_ref().map(of_unit));
        add("see", self.problem.as_ref().map(|_| "nexus-health --once".to_owned()));
        add("also", (self.others > 0).then(|| counted(self.others, "other problem")));
        text
    }

    /// Returns the title in ASCII, in one line.
    pub(crate) fn ascii_title(&self) -> String {
        let ascii = |c: char| if c.is_ascii() { c } else { '?' };
        format!("NEXUS: {}", printable(&self.title)).chars().map(ascii).collect()
    }
}

/// Returns the last boundary between two characters of `text` that is not after byte `most`.
pub(crate) fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Returns the beginning of `text` in at most `most` bytes, with `…` if something was cut off.
fn up_to(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..boundary(text, most.saturating_sub("…".len()))])
}

fn title(incident: &Incident, kind: AlertKind, host: &str) -> String {
    let subject = &incident.subject;
    if let Some(Reported { level, sentence, .. }) = &incident.details.reported {
        return match kind {
            AlertKind::Reminder => format!("still {level} on {host}: {sentence}"),
            AlertKind::Resolved => format!("over on {host}: {sentence}"),
            AlertKind::Failed | AlertKind::Escalated | AlertKind::Test => {
                format!("{level} on {host}: {sentence}")
            }
        };
    }
    match kind {
        AlertKind::Reminder => {
            let (failures, since) = (counted(incident.failures, "failure"), moment(incident.began));
            format!("{subject} on {host} still fails: {failures} since {since}")
        }
        AlertKind::Resolved => format!("{subject} on {host} is well again"),
        AlertKind::Test => format!("test alert from NEXUS on {host}: nothing has failed"),
        AlertKind::Failed | AlertKind::Escalated => format!("{subject} on {host} has failed"),
    }
}

/// Returns this machine's name. A machine whose name cannot be read must still send its alerts.
fn host() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "this machine".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::details::Details;

    fn failure() -> Incident {
        let details = Details {
            result: Some("exit-code".to_owned()),
            exit: Some("exited, status 74".to_owned()),
            lines: vec!["03:00:12 nexus-backup: it broke".to_owned()],
            reported: None,
        };
        Incident::open("nexus-backup.service".parse().unwrap(), details, &[], Timestamp::UNIX_EPOCH)
    }

    fn finding() -> Incident {
        let problem = nexus_problems::Problem {
            id: "disk-backups".parse().unwrap(),
            level: Level::Warning,
            sentence: "The disk of the backups is 92 % full.".to_owned(),
            advice: "Free some space there".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        };
        Incident::open("disk-backups.health".parse().unwrap(), problem.into(), &[], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_text_says_what_failed_how_when_and_where_to_look() {
        let mut alert = Alert::of(&failure(), AlertKind::Failed, 1, 0);
        alert.title = alert.title.replace(&alert.host, "HOST");
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
    fn the_text_says_what_nexus_health_found_and_what_to_do() {
        let mut alert = Alert::of(&finding(), AlertKind::Failed, 1, 2);
        alert.title = alert.title.replace(&alert.host, "HOST");
        assert_eq!(
            alert.text(),
            "warning on HOST: The disk of the backups is 92 % full.\n\
             \n\
             since         1970-01-01 00:00:00 UTC\n\
             what to do    Free some space there\n\
             see           nexus-health --once\n\
             also          2 other problems\n"
        );
        assert!(Alert::of(&finding(), AlertKind::Resolved, 2, 0).title.starts_with("over on "));
    }

    #[test]
    fn the_json_object_holds_the_same() {
        let alert = serde_json::to_value(Alert::of(&failure(), AlertKind::Failed, 1, 0)).unwrap();
        assert_eq!(alert["format"], 1);
        assert_eq!(alert["kind"], "failed");
        assert_eq!(alert["unit"], "nexus-backup.service");
        assert_eq!(alert["began"], "1970-01-01T00:00:00Z");
        assert_eq!(alert["over"], serde_json::Value::Null);
        assert_eq!(alert["lines"][0], "03:00:12 nexus-backup: it broke");
    }

    #[test]
    fn a_text_that_is_too_long_loses_the_oldest_lines_of_the_journal() {
        let mut alert = Alert::of(&failure(), AlertKind::Failed, 1, 0);
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
    fn no_title_can_begin_another_header() {
        let mut alert = Alert::of(&failure(), AlertKind::Failed, 1, 0);
        alert.title = "é\r\nBcc: x".to_owned();
        assert_eq!(alert.ascii_title(), "NEXUS: ?\\r\\nBcc: x");
    }

    proptest! {
        /// Every text keeps within its limit and begins with the title.
        #[test]
        fn a_text_never_exceeds_its_limit(
            lines in proptest::collection::vec("\\PC{0,500}", 0..20),
            sentence in "\\PC{0,500}",
            most in 200usize..6000,
        ) {
            let mut alert = Alert::of(&failure(), AlertKind::Failed, 1, 0);
            (alert.lines, alert.title) = (lines, sentence);
            let (whole, cut) = (alert.text(), alert.text_within(most));
            prop_assert!(cut.len() <= most);
            prop_assert!(cut == whole || whole.len() > most);
            prop_assert!(whole.starts_with(cut.trim_end().trim_end_matches('…')) || cut.starts_with(&alert.head()));
        }
    }
}
