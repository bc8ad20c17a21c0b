//! A client of systemd over D-Bus (org.freedesktop.systemd1(5)).

use zbus::blocking::proxy::Builder;
use zbus::blocking::{Connection, Proxy};
use zbus::proxy::CacheProperties;

const SYSTEMD: &str = "org.freedesktop.systemd1";

/// The object of the manager.
pub const MANAGER: &str = "/org/freedesktop/systemd1";

/// Returns a proxy of the object at `path` for one of its interfaces, such as `Manager` or `Unit`.
/// It does not cache properties.
///
/// # Errors
/// When `path` or `interface` is not a valid D-Bus name.
pub fn proxy<'a>(connection: &Connection, path: &'a str, interface: &str) -> zbus::Result<Proxy<'a>> {
    Builder::new(connection)
        .destination(SYSTEMD)?
        .path(path)?
        .interface(format!("{SYSTEMD}.{interface}"))?
        .cache_properties(CacheProperties::No)
        .build()
}
