//! Asking systemd, over D-Bus (org.freedesktop.systemd1(5)).

use zbus::blocking::proxy::Builder;
use zbus::blocking::{Connection, Proxy};
use zbus::proxy::CacheProperties;

const SYSTEMD: &str = "org.freedesktop.systemd1";

/// The manager's object.
pub const MANAGER: &str = "/org/freedesktop/systemd1";

/// The object at `path`, by one of its interfaces, such as `Manager` or `Unit`. Properties are asked for anew each time.
///
/// # Errors
/// When `path` or `interface` is no name that D-Bus allows.
pub fn proxy<'a>(connection: &Connection, path: &'a str, interface: &str) -> zbus::Result<Proxy<'a>> {
    Builder::new(connection)
        .destination(SYSTEMD)?
        .path(path)?
        .interface(format!("{SYSTEMD}.{interface}"))?
        .cache_properties(CacheProperties::No)
        .build()
}
