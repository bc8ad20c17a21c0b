//! The command line and the settings of nexus-alert.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use nexus_cli::failure::{Exit, Failure, Result};

use crate::channel::Channel;
use crate::channels::{Address, Channels, Format, Mail, Program, RunAs};
use crate::unit::UnitName;

/// Alerts the owner when a unit fails or nexus-health finds a problem: once when it begins, once a day while it lasts, and once
/// when it is over
///
/// Other units start it through `OnFailure=nexus-alert@%N.service`; it also runs when nexus-health's list changes. Each channel is
/// a setting, and none is configured by default; the journal always gets a line. Test your settings with: nexus-alert --test
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-alert", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Unit to check, such as nexus-backup: alerts if it failed, or if it is well again
    #[arg(value_name = "UNIT")]
    pub(crate) unit: Option<UnitName>,

    /// End the incident of this unit, whatever systemd reports
    #[arg(long, value_name = "UNIT", conflicts_with_all = ["unit", "health", "retry", "test"])]
    over: Option<UnitName>,

    /// Alert about problems that are new in the list of nexus-health, and about those that are gone from it
    #[arg(long, conflicts_with_all = ["unit", "retry", "test"])]
    health: bool,

    /// Send queued messages again, and send reminders that are due
    #[arg(long, conflicts_with_all = ["unit", "test"])]
    retry: bool,

    /// Send a test alert through every configured channel, and record the outcome for nexus-health
    #[arg(long, conflicts_with = "unit")]
    test: bool,

    /// Send nothing now, only queue it for nexus-alert-retry
    #[arg(long, conflicts_with_all = ["by", "retry"])]
    queue: bool,

    /// Channels that this run may use, separated by commas; messages for other channels stay queued [default: all that are configured]
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',')]
    by: Vec<Channel>,

    /// Recipient of mail, sent through /usr/sbin/sendmail, or through port 25 of this machine if that is setuid; empty = no mail
    #[arg(long, env = "NEXUS_ALERT_MAIL", value_name = "ADDRESS")]
    pub(crate) mail: Option<Address>,

    /// Format of the webhook, whose URL is in the credential alert_webhook; empty = no webhook
    #[arg(long, env = "NEXUS_ALERT_WEBHOOK_FORMAT", value_name = "FORMAT")]
    pub(crate) webhook: Option<Format>,

    /// Program that gets the alert as JSON on standard input, with its arguments; empty = none
    #[arg(long, env = "NEXUS_ALERT_COMMAND", value_name = "COMMAND")]
    pub(crate) command: Option<Program>,

    /// Write a line to every terminal on which someone is logged in: yes or no
    #[arg(long, env = "NEXUS_ALERT_WALL", value_name = "YES|NO", default_value = "no", value_parser = yes_or_no,
          action = clap::ArgAction::Set)]
    pub(crate) wall: bool,

    /// Lines of the unit's journal in an alert, 0 to 200
    #[arg(long, env = "NEXUS_ALERT_LINES", value_name = "NUMBER", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(0..=200))]
    pub(crate) lines: u16,

    /// Directory of the incidents and their queued messages
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/nexus/alerts", hide = true)]
    pub(crate) dir: PathBuf,

    /// Directory of the incidents that cannot be written to the other
    #[arg(long, value_name = "DIRECTORY", default_value = "/run/nexus-alerts", hide = true)]
    pub(crate) spare: PathBuf,

    /// The list of nexus-health
    #[arg(long, value_name = "FILE", default_value = nexus_problems::PATH, hide = true)]
    pub(crate) problems: PathBuf,

    /// Timeout of a webhook in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=300), hide = true)]
    pub(crate) patience: u64,

    /// The program that sends mail
    #[arg(long, value_name = "FILE", default_value = "/usr/sbin/sendmail", hide = true)]
    pub(crate) sendmail: PathBuf,

    /// Print one JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a run does.
pub(crate) enum Task {
    /// Check a unit, or end its incident.
    Unit { unit: UnitName, is_over: bool },
    /// Deliver the queue again.
    Retry,
    /// Compare nexus-health's list.
    Health,
    /// Test every channel, at once or through the queue.
    Test { is_queued: bool },
}

impl Args {
    /// Returns what the run does.
    ///
    /// # Errors
    /// Usage (64) when the command line asks for nothing.
    pub(crate) fn task(&self) -> Result<Task> {
        match (&self.unit, &self.over) {
            (_, Some(unit)) => Ok(Task::Unit { unit: unit.clone(), is_over: true }),
            (Some(unit), _) => Ok(Task::Unit { unit: unit.clone(), is_over: false }),
            (None, None) if self.retry => Ok(Task::Retry),
            (None, None) if self.health => Ok(Task::Health),
            (None, None) if self.test => Ok(Task::Test { is_queued: self.queue }),
            (None, None) => Err(Failure::new(
                Exit::Usage,
                "nothing to do: expected a unit, --over, --health, --retry or --test",
            )
            .advise("See: nexus-alert --help")),
        }
    }

    /// Returns the channels that this run may use.
    pub(crate) fn by(&self) -> &[Channel] {
        match self.by.as_slice() {
            _ if self.queue => &[],
            [] => &Channel::ALL,
            some => some,
        }
    }

    /// Returns the channels as they are configured.
    ///
    /// # Errors
    /// I/O, when the user that programs run as cannot be determined.
    pub(crate) fn channels(&self) -> Result<Channels> {
        Ok(Channels {
            mail: self.mail.clone().map(|to| Mail { to, sendmail: self.sendmail.clone() }),
            command: self.command.clone(),
            webhook: self.webhook,
            timeout: Duration::from_secs(self.patience),
            wall: self.wall,
            run_as: RunAs::owner_of(&self.dir)?,
        })
    }
}

fn yes_or_no(text: &str) -> std::result::Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("expected yes or no".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    /// Manual page, completions, .env.example and units say what the command line says.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<super::Args>()
    }
}
