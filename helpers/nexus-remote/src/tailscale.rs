//! Checks Tailscale.

use std::process::Command;

use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};

/// The first version that serves a Unix socket (tailscale#18089).
const OLDEST: (u32, u32) = (1, 94);

/// Checks that Tailscale is installed and new enough.
///
/// # Errors
/// Unavailable (69) if it is not.
pub(crate) fn check() -> Result<()> {
    let doing = "asking tailscale for its version";
    let output = match Command::new("tailscale").arg("version").output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::new(Exit::Unavailable, "setting NEXUS_REMOTE=tailscale")
                .because("this machine has no tailscale")
                .advise("Install it (https://tailscale.com/download), then: tailscale up; or nexus-setup --remote off"));
        }
        output => output.or_fail_io(|| doing)?,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_default().trim();
    match version(first) {
        Some(version) if version >= OLDEST => Ok(()),
        Some(_) => Err(Failure::new(Exit::Unavailable, doing)
            .because(format!("it is {first}, which cannot serve a Unix socket"))
            .advise(format!("Upgrade it to {}.{} or newer", OLDEST.0, OLDEST.1))),
        None => Err(Failure::new(Exit::Unavailable, doing)
            .because(format!("it printed {first:?} ({})", output.status))
            .advise("See: tailscale version")),
    }
}

/// Parses `1.94.1` or `1.95.0-dev20260101`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("1.94.1"), Some((1, 94)));
        assert_eq!(version("1.100.0-dev2"), Some((1, 100)));
        assert!(version("1.100.0") > version("1.94.1"));
        assert_eq!(version("not running"), None);
    }
}
