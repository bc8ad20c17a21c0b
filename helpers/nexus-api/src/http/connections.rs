//! Accepts connections, limits them, and ends them at shutdown.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nexus_sharing::slots::{Slot, Slots};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

use crate::metrics::Metrics;
use crate::peer::{Peer, Sharer};

/// Time limit for a request's header. An idle connection closes after the same time.
const HEADER: Duration = Duration::from_secs(20);

/// A connection closes if its client reads nothing of a response for this time.
const UNREAD: Duration = Duration::from_secs(20);

/// The longest header, in bytes.
const LONGEST_HEADER: usize = 32 << 10;

/// The most connections of each listening socket, so that no socket takes another's. A connection
/// whose header never ends holds some 50 KiB; those of all sockets must stay below the MemoryMax of
/// the unit.
const MOST: usize = 512;

/// How long idle connections stay open at shutdown. A request that is on its way gets its response,
/// with `Connection: close`; closing at once would lose it.
const LINGER: Duration = Duration::from_secs(2);

const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n\
    Connection: close\r\nContent-Length: 76\r\n\r\n\
    {\"code\":\"busy\",\"message\":\"There are too many connections; try again later.\"}";

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Connections {
    metrics: Arc<Metrics>,
    router: Router,
    count: Arc<AtomicUsize>,
    stage: watch::Receiver<Stage>,
}

/// The phases of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Accepts connections.
    Open,
    /// Accepts no more connections; each open one ends with its next response.
    Closing,
    /// Closes connections that wait for a request.
    Closed,
}

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix socket for programs of this machine.
    Unix(UnixListener),
    /// The Unix socket for the proxy. Its file mode decides who may open it.
    Proxy(UnixListener),
}

impl Connections {
    /// Creates the state of connections that `router` answers. They follow `stage`.
    pub(crate) fn new(metrics: Arc<Metrics>, router: Router, stage: watch::Receiver<Stage>) -> Self {
        Self { metrics, router, count: Arc::default(), stage }
    }

    /// Accepts connections on `listener` until the stage changes.
    pub(crate) async fn accept(self, listener: Listener) {
        let slots = Slots::new(MOST);
        let mut stage = self.stage.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                () = is_past(&mut stage, Stage::Open) => return,
                accepted = self.accept_one(&listener, &slots) => accepted,
            };
            if let Err(error) = accepted {
                pause(&error).await;
            }
        }
    }

    async fn accept_one(&self, listener: &Listener, slots: &Arc<Slots<Sharer>>) -> io::Result<()> {
        match listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Responses are small: send them at once.
                let _slower = stream.set_nodelay(true);
                self.serve(stream, Peer::of_address(address.ip()), slots);
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let user = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
                self.serve(stream, Peer::User(user), slots);
            }
            Listener::Proxy(listener) => self.serve(listener.accept().await?.0, Peer::Proxy, slots),
        }
        Ok(())
    }

    /// Ends all connections within `limit`, and accepts no more. The next process accepts those
    /// that wait in the sockets.
    pub(crate) async fn end(&self, stage: &watch::Sender<Stage>, limit: Duration) {
        let begun = tokio::time::Instant::now();
        stage.send_replace(Stage::Closing);
        let mut beat = tokio::time::interval(Duration::from_millis(10));
        while self.count.load(Ordering::Acquire) > 0 && begun.elapsed() < limit {
            if begun.elapsed() > LINGER {
                stage.send_replace(Stage::Closed);
            }
            beat.tick().await;
        }
    }

    fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(
        &self,
        stream: S,
        peer: Peer,
        slots: &Arc<Slots<Sharer>>,
    ) {
        let mut connection = self.clone();
        connection.count.fetch_add(1, Ordering::AcqRel);
        // Before the task starts: connections are accepted one after the other, so the limit is
        // exact.
        let slot = slots.take(peer.sharing());
        tokio::spawn(async move {
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(UNREAD));
            if let Some(slot) = slot {
                connection.serve_requests(stream, peer, Arc::new(slot)).await;
            } else {
                Metrics::count(&connection.metrics.turned_away);
                let mut stream = Box::pin(stream);
                // A client that misses this sees the connection close.
                let _unheard = stream.write_all(FULL).await;
            }
            connection.count.fetch_sub(1, Ordering::AcqRel);
        });
    }

    async fn serve_requests<S: AsyncRead + AsyncWrite + Send + 'static>(
        &mut self,
        stream: TimeoutStream<S>,
        peer: Peer,
        slot: Arc<Slot<Sharer>>,
    ) {
        let (router, of_requests) = (self.router.clone(), Arc::clone(&slot));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let (mut router, slot) = (router.clone(), Arc::clone(&of_requests));
            async move {
                let response: Result<_, Infallible> = slot.work(router.call(request.map(Body::new))).await;
                response.map(|response| response.map(|body| tracked(body, slot)))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER)
            .max_buf_size(LONGEST_HEADER)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let mut connection = std::pin::pin!(connection);
        // Ignores errors, because they are the client's: a broken connection, or a malformed
        // header, which hyper has answered.
        tokio::select! {
            // First, so that a request that has arrived is in progress before the connection is
            // told to close.
            biased;
            _ended = connection.as_mut() => return,
            () = slot.must_close() => {
                Metrics::count(&self.metrics.closed_for_others);
                return;
            }
            () = is_past(&mut self.stage, Stage::Closing) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ended = connection.await;
    }
}

/// Returns `body`. Each part of a body of unknown length counts as activity of the connection.
fn tracked(body: Body, slot: Arc<Slot<Sharer>>) -> Body {
    // A body of known length is complete already.
    if body.size_hint().exact().is_some() {
        return body;
    }
    Body::new(body.map_frame(move |frame| {
        slot.touch();
        frame
    }))
}

async fn is_past(now: &mut watch::Receiver<Stage>, stage: Stage) {
    // An error means that the sender is gone, which is a shutdown too.
    let _ended = now.wait_for(|now| *now > stage).await;
}

/// Waits before the next accept(), which fails again at once while no file descriptor is left.
async fn pause(error: &io::Error) {
    log::warn!("cannot accept a connection: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_to_one_connection_too_many_is_complete() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            header.contains(&format!("Content-Length: {}\r\n", body.len()))
                || header.ends_with(&format!("Content-Length: {}", body.len()))
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
