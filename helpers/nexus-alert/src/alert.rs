//! What is told: a subject, a text and an object, the same for every way.

use jiff::Timestamp;
use nexus_core::text::{moment, printable};
use serde::Serialize;

use crate::problem::{Kind, Problem};

/// The version of the object that webhooks and commands get.
const FORMAT: u32 = 1;

/// A message to the owner. Serialized it is what webhooks and commands get.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Alert {
    format: u32,
    pub(crate) kind: Kind,
    host: String,
    /// `None` for a test.
    pub(crate) unit: Option<String>,
    /// One line.
    pub(crate) subject: String,
    result: Option<String>,
    exit: Option<String>,
    /// When the unit first failed …
    began: Option<Timestamp>,
    /// … last failed …
    last: Option<Timestamp>,
    /// … and was well again.
    over: Option<Timestamp>,
    failures: u64,
    /// The last lines of its journal, secrets masked.
    lines: Vec<String>,
}

impl Alert {
    /// What is told of `problem`.
    pub(crate) fn of(problem: &Problem, kind: Kind) -> Self {
        let host = host();
        let unit = &problem.unit;
        let subject = match kind {
            Kind::Still => {
                format!(
                    "{unit} on {host} still fails, {} times since {}",
                    problem.failures,
                    moment(problem.began)
                )
            }
            Kind::Over => format!("{unit} on {host} is well again"),
            Kind::Failed | Kind::Test => format!("{unit} on {host} has failed"),
        };
        Self {
            format: FORMAT,
            kind,
            host,
            unit: Some(unit.to_string()),
            subject,
            result: Some(problem.facts.result.clone()),
            exit: problem.facts.exit.clone(),
            began: Some(problem.began),
            last: Some(problem.last),
            over: problem.over,
            failures: problem.failures,
            lines: problem.facts.lines.clone(),
        }
    }

    /// What a person sends to try the ways.
    pub(crate) fn test() -> Self {
        let host = host();
        Self {
            format: FORMAT,
            kind: Kind::Test,
            subject: format!("test alert from NEXUS on {host}: nothing has failed"),
            host,
            unit: None,
            result: None,
            exit: None,
            began: None,
            last: None,
            over: None,
            failures: 0,
            lines: Vec::new(),
        }
    }

    /// For people: the subject, what is known, what to do next, the lines.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        let mut say = |what: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!("\n{what:<14}{value}"));
            }
        };
        say("result", self.result.clone());
        say("process", self.exit.clone());
        say("failed first", self.began.map(moment));
        say("failed last", self.last.filter(|last| Some(*last) != self.began).map(moment));
        say("failures", (self.failures > 1).then(|| self.failures.to_string()));
        say("over", self.over.map(moment));
        if let Some(unit) = &self.unit {
            say("see", Some(format!("systemctl status {unit}; journalctl --catalog --unit={unit}")));
        }
        if !self.lines.is_empty() {
            text.push_str("\n\nThe last lines of its journal before it failed (UTC):\n\n");
            text.push_str(&self.lines.join("\n"));
        }
        text.push('\n');
        text
    }

    /// The subject for where only ASCII may stand, in one line.
    pub(crate) fn ascii_subject(&self) -> String {
        let plain = |c: char| if c.is_ascii() { c } else { '?' };
        format!("NEXUS: {}", printable(&self.subject)).chars().map(plain).collect()
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
    use super::*;
    use crate::facts::Facts;

    fn problem() -> Problem {
        let facts = Facts {
            result: "exit-code".to_owned(),
            exit: Some("exited, status 74".to_owned()),
            lines: vec!["03:00:12 nexus-backup: it broke".to_owned()],
        };
        Problem::begins("nexus-backup".parse().unwrap(), facts, &[], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_person_reads_what_failed_how_when_and_where_to_look() {
        let mut alert = Alert::of(&problem(), Kind::Failed);
        alert.subject = alert.subject.replace(&alert.host, "HOST");
        assert_eq!(
            alert.text(),
            "nexus-backup.service on HOST has failed\n\
             \n\
             result        exit-code\n\
             process       exited, status 74\n\
             failed first  1970-01-01 00:00:00 UTC\n\
             see           systemctl status nexus-backup.service; journalctl --catalog --unit=nexus-backup.service\n\
             \n\
             The last lines of its journal before it failed (UTC):\n\
             \n\
             03:00:12 nexus-backup: it broke\n"
        );
    }

    #[test]
    fn a_program_reads_the_same_as_an_object() {
        let alert = serde_json::to_value(Alert::of(&problem(), Kind::Failed)).unwrap();
        assert_eq!(alert["format"], 1);
        assert_eq!(alert["kind"], "failed");
        assert_eq!(alert["unit"], "nexus-backup.service");
        assert_eq!(alert["began"], "1970-01-01T00:00:00Z");
        assert_eq!(alert["over"], serde_json::Value::Null);
        assert_eq!(alert["lines"][0], "03:00:12 nexus-backup: it broke");
    }

    #[test]
    fn no_subject_can_begin_another_header() {
        let mut alert = Alert::test();
        alert.subject = "é\r\nBcc: x".to_owned();
        assert_eq!(alert.ascii_subject(), "NEXUS: ?\\r\\nBcc: x");
    }
}
