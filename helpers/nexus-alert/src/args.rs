//! What nexus-alert can be told.

use std::path::PathBuf;

use clap::Parser;
use nexus_cli::failure::{Exit, Failure, Result};

use crate::unit::UnitName;
use crate::ways::{Address, Format, Program, Way};

/// Tells the owner which unit failed, with the journal's last lines, and what nexus-health has found: once a problem, once
/// when it is over, and once a day as long as it lasts
///
/// Started by `OnFailure=nexus-alert@%N.service` of the other units, and when nexus-health's list changes. Each way to be told is a setting, and none is set
/// until a person sets it; the journal always has a line. Try what is set with: nexus-alert --test
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-alert", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Unit to look at, such as nexus-backup: a failure is told, and so is that it is over
    #[arg(value_name = "UNIT")]
    pub(crate) unit: Option<UnitName>,

    /// The problem of this unit is over, whatever systemd says
    #[arg(long, value_name = "UNIT", conflicts_with_all = ["unit", "health", "retry", "test"])]
    over: Option<UnitName>,

    /// Tell what is new in the list of nexus-health, and what is gone from it
    #[arg(long, conflicts_with_all = ["unit", "retry", "test"])]
    health: bool,

    /// Send what could not be sent, and remind of what lasts
    #[arg(long, conflicts_with_all = ["unit", "test"])]
    retry: bool,

    /// Send a test alert through every way that is set, and keep what has become of it for nexus-health
    #[arg(long, conflicts_with = "unit")]
    test: bool,

    /// Send nothing now: leave it in the queue, from which nexus-alert-retry sends
    #[arg(long, conflicts_with_all = ["by", "retry"])]
    queue: bool,

    /// Ways that this run may use, separated by commas; what the others owe stays in the queue [default: all that are set]
    #[arg(long, value_name = "WAY", value_delimiter = ',')]
    by: Vec<Way>,

    /// Address to mail to, by /usr/sbin/sendmail, or by port 25 of this machine where that is setuid; empty = no mail
    #[arg(long, env = "NEXUS_ALERT_MAIL", value_name = "ADDRESS")]
    pub(crate) mail: Option<Address>,

    /// How the webhook is spoken to; its URL is in the credential alert_webhook; empty = no webhook
    #[arg(long, env = "NEXUS_ALERT_WEBHOOK_FORMAT", value_name = "FORMAT")]
    pub(crate) webhook: Option<Format>,

    /// Program that gets the alert as JSON on standard input, with its arguments; empty = none
    #[arg(long, env = "NEXUS_ALERT_COMMAND", value_name = "COMMAND")]
    pub(crate) command: Option<Program>,

    /// A line on every terminal on which someone is logged in: yes or no
    #[arg(long, env = "NEXUS_ALERT_WALL", value_name = "YES|NO", default_value = "no", value_parser = yes_or_no,
          action = clap::ArgAction::Set)]
    pub(crate) wall: bool,

    /// Lines of the unit's journal in an alert, 0 to 200
    #[arg(long, env = "NEXUS_ALERT_LINES", value_name = "NUMBER", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(0..=200))]
    pub(crate) lines: u16,

    /// Directory of the problems and of what is still to be sent
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/nexus/alerts", hide = true)]
    pub(crate) dir: PathBuf,

    /// The list of nexus-health
    #[arg(long, value_name = "FILE", default_value = nexus_problems::PATH, hide = true)]
    pub(crate) problems: PathBuf,

    /// How long a webhook may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=300), hide = true)]
    pub(crate) patience: u64,

    /// The program that sends mail
    #[arg(long, value_name = "FILE", default_value = "/usr/sbin/sendmail", hide = true)]
    pub(crate) sendmail: PathBuf,

    /// One JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is asked of it.
pub(crate) enum Task {
    /// Look at a unit, or take its problem for over.
    Tell { unit: UnitName, is_over: bool },
    /// Work off the queue.
    Retry,
    /// Look at nexus-health's list.
    Health,
    /// Try every way, at once or by the queue.
    Test { by_queue: bool },
}

impl Args {
    /// # Errors
    /// Usage (64) when nothing was asked.
    pub(crate) fn task(&self) -> Result<Task> {
        match (&self.unit, &self.over) {
            (_, Some(unit)) => Ok(Task::Tell { unit: unit.clone(), is_over: true }),
            (Some(unit), _) => Ok(Task::Tell { unit: unit.clone(), is_over: false }),
            _ if self.retry => Ok(Task::Retry),
            _ if self.health => Ok(Task::Health),
            _ if self.test => Ok(Task::Test { by_queue: self.queue }),
            _ => Err(Failure::new(
                Exit::Usage,
                "neither a unit nor --over, --health, --retry or --test was given",
            )
            .advise("See: nexus-alert --help")),
        }
    }

    /// The ways that this run may use.
    pub(crate) fn ways(&self) -> &[Way] {
        match self.by.as_slice() {
            _ if self.queue => &[],
            [] => &Way::ALL,
            some => some,
        }
    }
}

fn yes_or_no(text: &str) -> std::result::Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("it is yes or no".to_owned()),
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
