//! A client of systemd over D-Bus (org.freedesktop.systemd1(5)).

use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Proxy};

const SYSTEMD: &str = "org.freedesktop.systemd1";

/// The object of the manager.
pub const MANAGER: &str = "/org/freedesktop/systemd1";

/// The socket of the system bus (the D-Bus specification, "Well-known Message Bus Instances").
const BUS: &str = "/run/dbus/system_bus_socket";

/// The longest time for a question, from the connection to the last reply.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Asks `question` over a connection of its own to the system bus, for at most [`LIMIT`]. Any local
/// user can occupy all the connections that the bus accepts, and then it replies to nobody.
///
/// # Errors
/// Those of `question`; when the bus refuses the connection, or the limit is over.
pub fn ask<T>(question: impl AsyncFnOnce(&Connection) -> zbus::Result<T>) -> zbus::Result<T> {
    ask_at(Path::new(BUS), LIMIT, question)
}

fn ask_at<T>(
    bus: &Path,
    limit: Duration,
    question: impl AsyncFnOnce(&Connection) -> zbus::Result<T>,
) -> zbus::Result<T> {
    // On this thread alone: when the limit is over, nothing is left that still waits.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asking = async {
        // zbus would connect in a thread, which stays as long as the queue of the bus is full. This fails then.
        let stream = UnixStream::connect(bus).await.map_err(|error| {
            zbus::Error::Failure(format!("connecting to D-Bus at {}: {error}", bus.display()))
        })?;
        question(&Builder::unix_stream(stream).build().await?).await
    };
    runtime.block_on(async { timeout(limit, asking).await }).unwrap_or_else(|_| {
        Err(zbus::Error::Failure(format!("D-Bus did not reply within {} seconds", limit.as_secs())))
    })
}

/// Returns a proxy of the object at `path` for one of its interfaces, such as `Manager` or `Unit`.
/// It does not cache properties.
///
/// # Errors
/// When `path` or `interface` is not a valid D-Bus name.
pub async fn proxy<'a>(connection: &Connection, path: &'a str, interface: &str) -> zbus::Result<Proxy<'a>> {
    zbus::proxy::Builder::new(connection)
        .destination(SYSTEMD)?
        .path(path)?
        .interface(format!("{SYSTEMD}.{interface}"))?
        .cache_properties(CacheProperties::No)
        .build()
        .await
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Instant;

    use super::*;

    /// Such as dbus-daemon while 64 connections have not authenticated.
    #[test]
    fn a_bus_that_never_replies_is_asked_for_the_limit_and_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let bus = directory.path().join("bus");
        let _accepts_and_is_silent = UnixListener::bind(&bus).unwrap();
        let began = Instant::now();
        let limit = Duration::from_secs(1);
        let reply = ask_at(&bus, limit, async |_| Ok(()));
        assert_eq!(reply.unwrap_err().to_string(), "D-Bus did not reply within 1 seconds");
        assert!((limit..limit * 20).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}
