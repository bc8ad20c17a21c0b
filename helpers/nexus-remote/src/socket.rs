//! Opens and closes access through systemd: nexus-api's socket for the proxy, and the kernel's filter for Caddy's packets.

use std::path::Path;
use std::process::Command;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};

use crate::args::Tls;
use crate::check::Access;

/// The socket for requests from other machines.
const SOCKET: &str = "nexus-api-proxy.socket";

/// The slice of the proxy, whose packets the kernel filters.
const SLICE: &str = "nexus-proxy.slice";

/// Always allowed: Compose's health check connects to Caddy.
const LOOPBACK: &str = "127.0.0.0/8 ::1/128";

/// Where systemd keeps the slice's properties that were set at run time, until the next boot.
const RUNTIME_PROPERTIES: &str = "/run/systemd/system.control/nexus-proxy.slice.d";

/// Opens `access`.
///
/// # Errors
/// Settings (78) if it is off; Unavailable (69) if systemd refuses.
pub(crate) fn open(access: &Access) -> Result<()> {
    if let Access::Off = access {
        return Err(Failure::new(Exit::Settings, "setting NEXUS_REMOTE=off")
            .because("there is nothing to open")
            .advise("Turn access on: nexus-setup --remote caddy, or tailscale"));
    }
    if let Access::Caddy { tls, allow, .. } = access {
        // A public authority connects from addresses that it does not publish, and Caddy must reach it. So the kernel passes all
        // packets, and only Caddy itself filters.
        let allow = if *tls == Tls::Auto { "any".to_owned() } else { format!("{LOOPBACK} {allow}") };
        // The first assignment empties the present list.
        systemctl(&[
            "set-property",
            "--runtime",
            SLICE,
            "IPAddressAllow=",
            &format!("IPAddressAllow={allow}"),
            "IPAddressDeny=any",
        ])?;
    }
    if !is_active(SOCKET)? {
        // systemd cannot pass another socket to a running service. An enabled socket starts before the service. Requests on the
        // other sockets wait meanwhile. At boot the service may not run yet.
        systemctl(&["enable", "--quiet", SOCKET])?;
        let how = if is_active("nexus-api.service")? { "restart" } else { "start" };
        systemctl(&[how, "nexus-api.service"])?;
        if !is_active(SOCKET)? {
            return Err(Failure::new(Exit::Unavailable, format!("starting {SOCKET}"))
                .because("it is not active after a restart of nexus-api")
                .advise(format!("See: systemctl status {SOCKET}")));
        }
    }
    log::info!("{access}");
    Ok(())
}

/// Closes access.
///
/// # Errors
/// Unavailable (69) if systemd refuses.
pub(crate) fn close() -> Result<()> {
    if is_active(SOCKET)? {
        systemctl(&["disable", "--quiet", "--now", SOCKET])?;
        // nexus-api still holds the socket until it restarts.
        systemctl(&["try-restart", "nexus-api.service"])?;
    } else if systemctl_succeeds(&["is-enabled", "--quiet", SOCKET])? {
        systemctl(&["disable", "--quiet", SOCKET])?;
    }
    if Path::new(RUNTIME_PROPERTIES).exists() {
        systemctl(&["set-property", "--runtime", SLICE, "IPAddressAllow=", "IPAddressDeny="])?;
    }
    Ok(())
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let doing = || format!("systemctl {}", arguments.join(" "));
    let output = Command::new("systemctl").args(arguments).output().or_fail_io(doing)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(Exit::Unavailable, doing())
        .because(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        .advise("See: systemctl status nexus-api nexus-api.socket nexus-api-proxy.socket"))
}

fn is_active(unit: &str) -> Result<bool> {
    systemctl_succeeds(&["is-active", "--quiet", unit])
}

fn systemctl_succeeds(arguments: &[&str]) -> Result<bool> {
    let status = Command::new("systemctl").args(arguments).status();
    Ok(status.or_fail_io(|| format!("systemctl {}", arguments.join(" ")))?.success())
}
