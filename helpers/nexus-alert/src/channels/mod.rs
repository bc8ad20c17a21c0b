//! The channels to the owner. Each is a setting, and none is configured by default. The journal always gets a line.

mod command;
pub(crate) mod journal;
mod mail;
mod smtp;
mod subprocess;
mod webhook;

use std::time::Duration;

use nexus_cli::failure::Result;

use crate::alert::Alert;
use crate::channel::Channel;

pub(crate) use command::Program;
pub(crate) use mail::{Address, Mail};
pub(crate) use subprocess::{RunAs, become_subreaper};
pub(crate) use webhook::Format;

/// The channels as they are configured.
pub(crate) struct Channels {
    pub(crate) mail: Option<Mail>,
    pub(crate) command: Option<Program>,
    pub(crate) webhook: Option<Format>,
    /// The timeout of a webhook.
    pub(crate) timeout: Duration,
    /// Whether every terminal gets a line.
    pub(crate) wall: bool,
    pub(crate) run_as: RunAs,
}

impl Channels {
    /// Returns the configured channels.
    pub(crate) fn configured(&self) -> Vec<Channel> {
        let is_set = |channel: &Channel| match channel {
            Channel::Mail => self.mail.is_some(),
            Channel::Command => self.command.is_some(),
            Channel::Webhook => self.webhook.is_some(),
        };
        Channel::ALL.into_iter().filter(is_set).collect()
    }

    /// Sends `alert` through `channel`, and returns when it is accepted. Does nothing if the channel is not configured.
    ///
    /// # Errors
    /// Unavailable (69) when it was not accepted, Settings (78) when the channel is misconfigured.
    pub(crate) fn send(&self, channel: Channel, alert: &Alert) -> Result<()> {
        let sent = match channel {
            Channel::Mail => self.mail.as_ref().map(|mail| mail.send(alert, &self.run_as)),
            Channel::Command => self.command.as_ref().map(|command| command.send(alert, &self.run_as)),
            Channel::Webhook => self.webhook.map(|format| webhook::send(format, alert, self.timeout)),
        };
        sent.unwrap_or(Ok(()))
    }
}
