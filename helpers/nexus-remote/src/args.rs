//! What nexus-remote can be told.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::domain::Domain;
use crate::network::Networks;

/// Checks, opens and closes the way in from other machines
///
/// nexus-proxy.service and nexus-tailscale.service run it. To turn one on or off: nexus-setup --remote caddy, tailscale or off
#[derive(Parser, Clone, Debug)]
#[command(name = "nexus-remote", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: What,
}

/// What /etc/nexus/nexus.env says of it.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Settings {
    /// How other machines reach the memory: caddy, tailscale, or off
    #[arg(long = "by", env = "NEXUS_REMOTE", value_name = "WAY", default_value = "off")]
    pub(crate) way: Way,

    /// The name that leads here: of the Internet, or of a LAN, or an IPv4 address
    #[arg(long, env = "NEXUS_DOMAIN", value_name = "NAME")]
    pub(crate) domain: Option<Domain>,

    /// Where the certificate comes from: auto = an authority of the Internet; internal = one of this machine's own; files =
    /// /etc/nexus/tls/cert.pem and key.pem
    #[arg(long, env = "NEXUS_TLS", value_name = "FROM", default_value = "auto", hide_possible_values = true)]
    pub(crate) tls: Tls,

    /// Who is let in: addresses and networks (192.168.1.0/24, 2001:db8::/48), with blanks between. Empty = private networks, where this machine
    /// has no public address
    #[arg(long, env = "NEXUS_ALLOW_IPS", value_name = "NETWORKS")]
    pub(crate) allow: Option<Networks>,
}

/// What to do.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum What {
    /// Check the settings, the token and the certificate's files
    Check(Settings),
    /// Check, then let nexus-api listen for the proxy, and the kernel let the packets through
    Open(Settings),
    /// Undo that
    Close,
    /// Write down for nexus-health how old the token is, and until when the certificate is good
    Note {
        #[command(flatten)]
        settings: Settings,
        /// Where to
        file: PathBuf,
    },
}

/// By what other machines come in.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Not at all.
    Off,
    /// By Caddy, with TLS, on ports 80 and 443.
    Caddy,
    /// By Tailscale, with no open port.
    Tailscale,
}

/// Where the certificate comes from.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// From an authority that everybody trusts.
    Auto,
    /// From Caddy's own.
    Internal,
    /// From files of a person's.
    Files,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Manual page, completions, .env.example and units say what the command line says.
    #[test]
    fn documented() -> nexus_pages::Result {
        nexus_pages::helper::<Args>()
    }
}
