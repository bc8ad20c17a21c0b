//! The watchdog is fed only when a request of our own, which goes the way of every other, gets its answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Asks ourselves over the socket at `path` three times within each `interval`, and tells systemd when there is an answer.
pub(crate) async fn feed(path: PathBuf, interval: Duration) {
    let beat = interval / 3;
    let mut ticks = tokio::time::interval(beat);
    loop {
        ticks.tick().await;
        match tokio::time::timeout(beat, is_answered(&path)).await {
            Ok(Ok(true)) => notify(&[NotifyState::Watchdog]),
            Ok(Ok(false)) => log::warn!("our own request had no proper answer"),
            Ok(Err(error)) => log::warn!("our own request failed: {error}"),
            Err(_) => log::warn!("our own request had no answer within {beat:?}"),
        }
    }
}

/// Whether somebody answers at `path`: "come back later" is an answer too.
async fn is_answered(path: &Path) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: watchdog\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    (&mut stream).take(64 << 10).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 "))
}

/// Without systemd there is nobody to tell; a lost datagram is followed by the next.
pub(crate) fn notify(state: &[NotifyState<'_>]) {
    let _unheard: std::io::Result<()> = sd_notify::notify(state);
}
