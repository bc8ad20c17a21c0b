//! The command line and settings of nexus-remote.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::domain::Domain;
use crate::network::Networks;

/// Checks, opens and closes access from other machines
///
/// nexus-proxy.service and nexus-tailscale.service run it. To turn one on or off: nexus-setup --remote caddy, tailscale or off
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-remote", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The settings in /etc/nexus/nexus.env.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Settings {
    /// How other machines reach the memory: caddy, tailscale, or off
    #[arg(long = "by", env = "NEXUS_REMOTE", value_name = "METHOD", default_value = "off")]
    pub(crate) method: Method,

    /// This machine's DNS name, on the Internet or a LAN, or its IPv4 address
    #[arg(long, env = "NEXUS_DOMAIN", value_name = "NAME")]
    pub(crate) domain: Option<Domain>,

    /// Where the certificate comes from: auto = a public authority; internal = this machine's own authority; files =
    /// /etc/nexus/tls/cert.pem and key.pem
    #[arg(long, env = "NEXUS_TLS", value_name = "FROM", default_value = "auto", hide_possible_values = true)]
    pub(crate) tls: Tls,

    /// Who may connect: addresses and networks (192.168.1.0/24, 2001:db8::/48), separated by spaces. Empty = private networks, if
    /// this machine has no public address
    #[arg(long, env = "NEXUS_ALLOW_IPS", value_name = "NETWORKS")]
    pub(crate) allow: Option<Networks>,
}

/// The command to run.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Check the settings, the token and the certificate's files
    Check(Settings),
    /// Check, then make nexus-api listen for the proxy, and the kernel pass its packets
    Open(Settings),
    /// Undo what open does
    Close,
    /// Record for nexus-health the token's age and the certificate's validity
    Note {
        #[command(flatten)]
        settings: Settings,
        /// File to write
        file: PathBuf,
    },
}

/// How other machines reach the memory.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// No other machine has access.
    Off,
    /// Other machines connect through Caddy, with TLS, on ports 80 and 443.
    Caddy,
    /// Other machines connect through Tailscale, without an open port.
    Tailscale,
}

/// Where the certificate comes from.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// A public authority issues it.
    Auto,
    /// Caddy's own authority issues it.
    Internal,
    /// The owner's files contain it.
    Files,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manual page, the completions, .env.example and the units agree with the command line.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<Args>()
    }
}
