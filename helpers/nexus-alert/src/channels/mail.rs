//! Mail through this machine's mail program, `sendmail -t`, which every mail server in Debian provides.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use nexus_cli::failure::{Exit, OrFail, Result};

use super::smtp;
use super::subprocess::{RunAs, run};
use crate::alert::{Alert, boundary};

/// The port of a mail server.
const PORT: u16 = 25;

/// The longest line of a mail in bytes. RFC 5322 allows 998.
const LONGEST_LINE: usize = 900;

/// A recipient: an address, or a user of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Address(String);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "@.!#$%&'*+/=?^_`{|}~-".contains(c);
        if !text.is_empty()
            && text.chars().all(is_allowed)
            && !text.starts_with(['-', '@'])
            && !text.ends_with('@')
        {
            Ok(Self(text.to_owned()))
        } else {
            Err("not a mail address; expected one such as me@example.org, or a user of this machine, such as root"
                .to_owned())
        }
    }
}

/// The mail channel.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: Address,
    pub(crate) sendmail: PathBuf,
}

impl Mail {
    /// Sends the mail.
    ///
    /// # Errors
    /// Unavailable (69) when the mail program does not exist or does not accept the mail.
    pub(crate) fn send(&self, alert: &Alert, run_as: &RunAs) -> Result<()> {
        let advice = "Install a mail program that provides sendmail (such as dma or msmtp-mta), or empty NEXUS_ALERT_MAIL";
        let message = self.message(alert, Timestamp::now());
        if self.is_setuid() {
            return smtp::send(PORT, alert.host(), &self.to.0, &message)
                .or_fail(Exit::Unavailable, || "sending mail to port 25 of this machine")
                .map_err(|failure| failure.advise(advice));
        }
        // -i: a line that is a single dot does not end the message.
        run(&self.sendmail, &["-t".to_owned(), "-i".to_owned()], message.as_bytes(), run_as)
            .map_err(|failure| failure.advise(advice))
    }

    /// Returns whether the mail program is setuid, which the unit does not allow.
    fn is_setuid(&self) -> bool {
        // The run reports a program that does not exist.
        std::fs::metadata(&self.sendmail).is_ok_and(|file| file.permissions().mode() & 0o4000 != 0)
    }

    /// Formats the mail with its headers (RFC 5322). `Auto-Submitted` prevents automatic replies (RFC 3834).
    fn message(&self, alert: &Alert, now: Timestamp) -> String {
        format!(
            "To: {}\nSubject: {}\nDate: {}\nMessage-ID: <{}@{}>\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n\
             Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{}",
            self.to.0,
            alert.ascii_title(),
            now.strftime("%a, %d %b %Y %H:%M:%S +0000"),
            alert.id,
            alert.host(),
            wrapped(&alert.text())
        )
    }
}

/// Wraps lines longer than [`LONGEST_LINE`]. Servers refuse longer lines or break them inside a character.
fn wrapped(text: &str) -> String {
    let mut wrapped = String::new();
    for mut line in text.lines() {
        while line.len() > LONGEST_LINE {
            let (fits, rest) = line.split_at(boundary(line, LONGEST_LINE));
            wrapped.push_str(fits);
            wrapped.push('\n');
            line = rest;
        }
        wrapped.push_str(line);
        wrapped.push('\n');
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{AlertKind, Incident};

    #[test]
    fn an_address_cannot_be_an_option_or_a_header() {
        for right in ["root", "me@example.org", "a.b+c@x"] {
            assert!(right.parse::<Address>().is_ok(), "{right}");
        }
        for wrong in ["", "-X/tmp/x", "a b", "a\nBcc: b", "a,b@c", "@x", "x@", "<a@b>"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mail_has_its_headers_and_then_the_text() {
        let mail = Mail { to: Address("root".to_owned()), sendmail: PathBuf::new() };
        let test = Incident::test(&[], Timestamp::UNIX_EPOCH);
        let message = mail.message(&Alert::of(&test, AlertKind::Test, 1, 0), Timestamp::UNIX_EPOCH);
        let (headers, body) = message.split_once("\n\n").unwrap();
        assert!(headers.starts_with("To: root\nSubject: NEXUS: test alert from NEXUS on "));
        assert!(headers.contains("\nDate: Thu, 01 Jan 1970 00:00:00 +0000\nMessage-ID: <monthly.test.0.1@"));
        assert!(headers.contains("\nAuto-Submitted: auto-generated\n"));
        assert!(body.starts_with("test alert from NEXUS"));
    }

    #[test]
    fn long_lines_are_wrapped() {
        let text = format!("short\n{}\n\nend\n", "ñandú ".repeat(500));
        let wrapped = wrapped(&text);
        assert!(wrapped.lines().all(|line| line.len() <= 998));
        assert_eq!(wrapped.replace('\n', ""), text.replace('\n', ""));
        assert_eq!(super::wrapped("as\nit\n\nis\n"), "as\nit\n\nis\n");
    }
}
