//! The ways to the owner: each is set by a person, none is by default. The journal's line is always written.

mod command;
pub(crate) mod journal;
mod mail;
mod program;
mod smtp;
mod webhook;

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use nexus_cli::failure::Result;
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::args::Args;

pub(crate) use command::Program;
pub(crate) use mail::Address;
pub(crate) use program::{RunAs, wait_for_what_programs_leave};
pub(crate) use webhook::Format;

/// A way to the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// By the machine's own mail program.
    Mail,
    /// By a program of the person's.
    Command,
    /// By HTTP.
    Webhook,
}

impl Way {
    /// The quick ones first.
    pub(crate) const ALL: [Self; 3] = [Self::Mail, Self::Command, Self::Webhook];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mail => "mail",
            Self::Command => "command",
            Self::Webhook => "webhook",
        })
    }
}

/// The ways as they are set.
pub(crate) struct Ways {
    mail: Option<mail::Mail>,
    command: Option<Program>,
    webhook: Option<Format>,
    patience: Duration,
    /// Whether every terminal gets a line.
    pub(crate) wall: bool,
    run_as: RunAs,
}

impl Ways {
    /// # Errors
    /// I/O, when it cannot be found out as whom programs are to run.
    pub(crate) fn of(args: &Args) -> Result<Self> {
        let mail = args.mail.clone().map(|to| mail::Mail { to, sendmail: args.sendmail.clone() });
        Ok(Self {
            mail,
            command: args.command.clone(),
            webhook: args.webhook,
            patience: Duration::from_secs(args.patience),
            wall: args.wall,
            run_as: RunAs::owner_of(&args.dir)?,
        })
    }

    /// Those that are set.
    pub(crate) fn set(&self) -> Vec<Way> {
        let is_set = |way: &Way| match way {
            Way::Mail => self.mail.is_some(),
            Way::Command => self.command.is_some(),
            Way::Webhook => self.webhook.is_some(),
        };
        Way::ALL.into_iter().filter(is_set).collect()
    }

    /// Sends `alert` by `way`; returns once it is taken. By one that is not set nothing is sent.
    ///
    /// # Errors
    /// Unavailable (69) when it was not taken, Settings (78) when the way is not set right.
    pub(crate) fn send(&self, way: Way, alert: &Alert) -> Result<()> {
        let sent = match way {
            Way::Mail => self.mail.as_ref().map(|mail| mail.send(alert, &self.run_as)),
            Way::Command => self.command.as_ref().map(|command| command.send(alert, &self.run_as)),
            Way::Webhook => self.webhook.map(|format| webhook::send(format, alert, self.patience)),
        };
        sent.unwrap_or(Ok(()))
    }
}
