//! Connections: taken, given their limits, and at the end each led to its end.

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
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

use crate::app::App;
use crate::http::peer::Peer;
use crate::http::slots::{Slot, Slots};
use crate::metrics::Metrics;

/// A request's header must be there within this time; a connection that is kept may wait as long for its next one.
const HEADER: Duration = Duration::from_secs(20);

/// An answer that nobody reads any of for so long is given up.
const UNREAD: Duration = Duration::from_secs(20);

/// The longest header.
const LONGEST_HEADER: usize = 32 << 10;

/// The most connections of one listening socket, so that none takes from the others. One whose header never ends holds some
/// 50 KiB: all sockets together must stay below the MemoryMax of the unit.
const MOST: usize = 512;

/// After being told to stop, a kept connection gets its next request answered for so long, and is told then that it ends:
/// closing one on which a request is just being sent would lose it.
const LINGER: Duration = Duration::from_secs(2);

const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n\
    Connection: close\r\nContent-Length: 76\r\n\r\n\
    {\"code\":\"busy\",\"message\":\"There are too many connections; try again later.\"}";

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Connections {
    app: Arc<App>,
    router: Router,
    count: Arc<AtomicUsize>,
    stage: watch::Receiver<Stage>,
}

/// How far the service has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It takes connections.
    Open,
    /// It takes no more; those that are there end with their next answer.
    Closing,
    /// Those that still wait for a request are closed.
    Closed,
}

/// A socket to which connections come.
#[derive(Debug)]
pub(crate) enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// Of this machine's programs.
    Unix(UnixListener),
    /// The proxy's. Who may open it is the file system's to say.
    Proxy(UnixListener),
}

impl Connections {
    /// Served by `router`, until `stage` says otherwise.
    pub(crate) fn new(app: Arc<App>, router: Router, stage: watch::Receiver<Stage>) -> Self {
        Self { app, router, count: Arc::default(), stage }
    }

    /// Takes connections that come to `listener`.
    pub(crate) async fn take(self, listener: Listener) {
        let slots = Slots::new(MOST);
        let mut stage = self.stage.clone();
        loop {
            let taken = tokio::select! {
                biased;
                () = is_past(&mut stage, Stage::Open) => return,
                taken = self.take_one(&listener, &slots) => taken,
            };
            if let Err(error) = taken {
                pause(&error).await;
            }
        }
    }

    async fn take_one(&self, listener: &Listener, slots: &Arc<Slots>) -> io::Result<()> {
        match listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // An answer is small and goes at once.
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

    /// Leads all connections to their end. No more are taken from now on; those that wait in the sockets are for whoever
    /// comes after us.
    pub(crate) async fn end(&self, stage: &watch::Sender<Stage>, limit: Duration) {
        let begun = tokio::time::Instant::now();
        self.app.gate.close();
        stage.send_replace(Stage::Closing);
        let mut beat = tokio::time::interval(Duration::from_millis(10));
        while self.count.load(Ordering::Acquire) > 0 && begun.elapsed() < limit {
            if begun.elapsed() > LINGER {
                stage.send_replace(Stage::Closed);
            }
            beat.tick().await;
        }
    }

    fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(&self, stream: S, peer: Peer, slots: &Arc<Slots>) {
        let mut connection = self.clone();
        connection.count.fetch_add(1, Ordering::AcqRel);
        // Not one more than there may be: slots are taken here, where connections are taken one after the other.
        let slot = slots.take(peer);
        tokio::spawn(async move {
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(UNREAD));
            if let Some(slot) = slot {
                connection.converse(stream, peer, Arc::new(slot)).await;
            } else {
                Metrics::count(&connection.app.metrics.turned_away);
                let mut stream = Box::pin(stream);
                // Who does not hear it sees the end.
                let _unheard = stream.write_all(FULL).await;
            }
            connection.count.fetch_sub(1, Ordering::AcqRel);
        });
    }

    async fn converse<S: AsyncRead + AsyncWrite + Send + 'static>(
        &mut self,
        stream: TimeoutStream<S>,
        peer: Peer,
        slot: Arc<Slot>,
    ) {
        let (router, of_requests) = (self.router.clone(), Arc::clone(&slot));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let (mut router, slot) = (router.clone(), Arc::clone(&of_requests));
            async move {
                let answer: Result<_, Infallible> = slot.work(router.call(request.map(Body::new))).await;
                answer.map(|answer| answer.map(|body| noted(body, slot)))
            }
        });
        let conversation = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER)
            .max_buf_size(LONGEST_HEADER)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let mut conversation = std::pin::pin!(conversation);
        // Its errors are its caller's: a connection that breaks off, a header that is none. They have their answer, if
        // there is anybody left to hear it.
        tokio::select! {
            // First, so that a request which is there is at work before the connection is told to close.
            biased;
            _ended = conversation.as_mut() => return,
            () = slot.must_close() => {
                Metrics::count(&self.app.metrics.closed_for_others);
                return;
            }
            () = is_past(&mut self.stage, Stage::Closing) => {}
        }
        conversation.as_mut().graceful_shutdown();
        let _ended = conversation.await;
    }
}

/// Returns `body`, each part of which shows that its reader is there if it is a long one.
fn noted(body: Body, slot: Arc<Slot>) -> Body {
    // What has a length is there whole.
    if body.size_hint().exact().is_some() {
        return body;
    }
    Body::new(body.map_frame(move |frame| {
        slot.touch();
        frame
    }))
}

async fn is_past(now: &mut watch::Receiver<Stage>, stage: Stage) {
    // An error means that nobody will ever say so, and then this is the end too.
    let _ended = now.wait_for(|now| *now > stage).await;
}

/// Without a file descriptor left, accept() fails at once and again: wait for one to be closed.
async fn pause(error: &io::Error) {
    log::warn!("taking a connection: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_one_too_many_is_whole() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            header.contains(&format!("Content-Length: {}\r\n", body.len()))
                || header.ends_with(&format!("Content-Length: {}", body.len()))
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
