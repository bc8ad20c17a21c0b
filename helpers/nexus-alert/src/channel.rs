//! The names of the channels.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A channel to the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channel {
    /// This machine's mail program
    Mail,
    /// A program of your own
    Command,
    /// An HTTP POST
    Webhook,
}

impl Channel {
    /// Every channel, the quick ones first.
    pub(crate) const ALL: [Self; 3] = [Self::Mail, Self::Command, Self::Webhook];
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mail => "mail",
            Self::Command => "command",
            Self::Webhook => "webhook",
        })
    }
}
