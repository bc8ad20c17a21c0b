//! Opening and closing: nexus-api's socket for the proxy, and which packets the kernel lets reach Caddy. systemd does both.

use std::path::Path;
use std::process::Command;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};

use crate::args::Tls;
use crate::check::WayIn;

/// Over it come requests from other machines.
const SOCKET: &str = "nexus-api-proxy.socket";

/// Whose packets are counted, with all that runs in it.
const SLICE: &str = "nexus-proxy.slice";

/// Compose asks whether Caddy serves.
const LOOPBACK: &str = "127.0.0.0/8 ::1/128";

/// What systemd keeps of what was set, until the next boot.
const KEPT: &str = "/run/systemd/system.control/nexus-proxy.slice.d";

/// Lets `way` in.
///
/// # Errors
/// Settings (78) where there is none; Unavailable (69) when systemd refuses.
pub(crate) fn open(way: &WayIn) -> Result<()> {
    if let WayIn::Off = way {
        return Err(Failure::new(Exit::Settings, "setting NEXUS_REMOTE=off")
            .because("so nothing is opened")
            .advise("Turn one way on: nexus-setup --remote caddy, or tailscale"));
    }
    if let WayIn::Caddy { tls, allow, .. } = way {
        // An authority of the Internet looks from addresses that it does not tell, and Caddy has to reach it: then only Caddy
        // itself says who is answered.
        let allow = if *tls == Tls::Auto { "any".to_owned() } else { format!("{LOOPBACK} {allow}") };
        // The first empties the list that there is.
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
        // A socket cannot be added to a service that runs. Enabled, it comes with the service, before it; what is asked over the others
        // meanwhile waits in them. At boot the service may not have come so far.
        systemctl(&["enable", "--quiet", SOCKET])?;
        let how = if is_active("nexus-api.service")? { "restart" } else { "start" };
        systemctl(&[how, "nexus-api.service"])?;
        if !is_active(SOCKET)? {
            return Err(Failure::new(Exit::Unavailable, format!("starting {SOCKET}"))
                .because("it is not active after nexus-api was started again")
                .advise(format!("See: systemctl status {SOCKET}")));
        }
    }
    log::info!("{way}");
    Ok(())
}

/// Lets nobody in any more.
///
/// # Errors
/// Unavailable (69) when systemd refuses.
pub(crate) fn close() -> Result<()> {
    if is_active(SOCKET)? {
        systemctl(&["disable", "--quiet", "--now", SOCKET])?;
        // It still holds the socket that was handed to it.
        systemctl(&["try-restart", "nexus-api.service"])?;
    } else if systemctl_says(&["is-enabled", "--quiet", SOCKET])? {
        systemctl(&["disable", "--quiet", SOCKET])?;
    }
    if Path::new(KEPT).exists() {
        systemctl(&["set-property", "--runtime", SLICE, "IPAddressAllow=", "IPAddressDeny="])?;
    }
    Ok(())
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let doing = || format!("systemctl {}", arguments.join(" "));
    let said = Command::new("systemctl").args(arguments).output().or_fail_io(doing)?;
    if said.status.success() {
        return Ok(());
    }
    Err(Failure::new(Exit::Unavailable, doing())
        .because(String::from_utf8_lossy(&said.stderr).trim().to_owned())
        .advise("See: systemctl status nexus-api nexus-api.socket nexus-api-proxy.socket"))
}

fn is_active(unit: &str) -> Result<bool> {
    systemctl_says(&["is-active", "--quiet", unit])
}

fn systemctl_says(arguments: &[&str]) -> Result<bool> {
    let status = Command::new("systemctl").args(arguments).status();
    Ok(status.or_fail_io(|| format!("systemctl {}", arguments.join(" ")))?.success())
}
