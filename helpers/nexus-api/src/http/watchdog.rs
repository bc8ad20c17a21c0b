//! Notifies systemd's watchdog only while nexus-api answers a request of its own, sent like any
//! other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Sends a request over the socket at `path` three times within each `interval`, and notifies
/// systemd of each response.
pub(crate) async fn feed(path: PathBuf, interval: Duration) {
    let beat = interval / 3;
    let mut ticks = tokio::time::interval(beat);
    loop {
        ticks.tick().await;
        match tokio::time::timeout(beat, is_answered(&path)).await {
            Ok(Ok(true)) => notify(&[NotifyState::Watchdog]),
            Ok(Ok(false)) => log::warn!("the watchdog's request got no HTTP response"),
            Ok(Err(error)) => log::warn!("the watchdog's request failed: {error}"),
            Err(_) => log::warn!("the watchdog's request got no response within {beat:?}"),
        }
    }
}

/// Returns whether the service at `path` answers. A status of 503 counts too.
async fn is_answered(path: &Path) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: watchdog\r\nConnection: close\r\n\r\n").await?;
    let mut response = Vec::new();
    (&mut stream).take(64 << 10).read_to_end(&mut response).await?;
    Ok(response.starts_with(b"HTTP/1.1 "))
}

/// Notifies systemd. Ignores errors: without systemd there is no socket, and the next datagram
/// replaces a lost one.
pub(crate) fn notify(state: &[NotifyState<'_>]) {
    let _unheard: std::io::Result<()> = sd_notify::notify(state);
}
