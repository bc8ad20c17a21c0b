//! The service. One thread serves the connections, another embeds the texts with several
//! processors. The service exits when it is idle.

mod connection;
mod queue;
mod worker;

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nexus_cli::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use nexus_cli::stop::Stop;
use nexus_postgres::blocking::runtime;
use nexus_sharing::shares::Shares;
use nexus_sharing::slots::Slots;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
use sd_notify::NotifyState;
use tokio::net::{UnixListener, UnixStream};

use crate::model::Model;

use queue::Queue;

/// How often the service checks whether it should exit.
const BEAT: Duration = Duration::from_millis(250);

/// The idle time without a model. It is short, so that the service soon finds a newly installed
/// model.
const IDLE_WITHOUT_MODEL: Duration = Duration::from_secs(10);

/// Time for the requests in progress at shutdown.
const GRACE: Duration = Duration::from_secs(20);

/// The most connections. One more closes the longest idle one of the user with the most, and is
/// refused as busy if none is idle.
const MOST_CONNECTIONS: usize = 64;

/// The most memory for requests, in KiB. One user can take half.
const MOST_KIB: usize = 16 << 10;

/// What all connections share.
pub(crate) struct Shared {
    queue: Arc<Queue>,
    /// Memory for requests, in KiB, divided among users.
    memory: Arc<Shares<u32>>,
    /// The number of requests in progress.
    in_progress: AtomicUsize,
}

/// Serves the socket that systemd passes as standard input, until it was idle for `idle`.
///
/// `load` returns the model. If it fails, the service refuses every request with that error.
///
/// # Errors
/// Usage (64) if standard input is not a listening Unix socket.
pub fn serve(load: impl FnOnce() -> Result<Model>, idle: Duration) -> Result<()> {
    let stop = Stop::on_signals()?;
    let listener = listener()?;
    let began = Instant::now();
    let model = load();
    let (status, idle) = match &model {
        Ok(model) => (format!("{} loaded in {} ms", model.version(), began.elapsed().as_millis()), idle),
        Err(failure) => (format!("without a model: {failure}"), idle.min(IDLE_WITHOUT_MODEL)),
    };
    match &model {
        Ok(_) => log::info!("{status}"),
        Err(_) => log::warn!("{status}"),
    }
    let queue = Arc::new(Queue::default());
    let connections = {
        let queue = Arc::clone(&queue);
        move || {
            let outcome = serve_connections(listener, &queue, idle, &stop);
            queue.close();
            outcome
        }
    };
    let connections = thread::Builder::new()
        .name("connections".to_owned())
        .spawn(connections)
        .or_fail(Exit::Unavailable, || "starting a thread")?;
    notify(&[NotifyState::Status(&status), NotifyState::Ready]);
    // On this thread, which is one of rayon's: from any other, each text would wait for one of them
    // to wake.
    worker::run(&model.map_err(|failure| failure.to_string()), &queue);
    connections
        .join()
        .map_err(|_| Failure::new(Exit::Software, "serving connections: the thread has panicked"))?
}

/// Serves connections until the service should exit.
fn serve_connections(listener: StdListener, queue: &Arc<Queue>, idle: Duration, stop: &Stop) -> Result<()> {
    let shared =
        Shared { queue: Arc::clone(queue), memory: Shares::new(MOST_KIB), in_progress: AtomicUsize::new(0) };
    let runtime = runtime()?;
    let outcome = runtime.block_on(accept(listener, Arc::new(shared), idle, stop));
    notify(&[NotifyState::Stopping]);
    // Ends the connections. A client that sends a request now connects again and starts the next
    // service.
    drop(runtime);
    outcome
}

/// Returns standard input as a listening socket: `StandardInput=socket` (systemd.exec(5)).
fn listener() -> Result<StdListener> {
    let wrong = || {
        Failure::new(Exit::Usage, "taking the socket from systemd")
            .because("standard input is not a listening Unix socket")
            .advise("Start the socket, which starts the service: systemctl start nexus-embed.socket. See nexus-embed --help")
    };
    let doing = || "taking the socket from systemd";
    let fd = std::io::stdin().as_fd().try_clone_to_owned().or_fail_io(doing)?;
    let address: SockaddrStorage = getsockname(std::os::fd::AsRawFd::as_raw_fd(&fd)).map_err(|_| wrong())?;
    if address.family() != Some(AddressFamily::Unix) {
        return Err(wrong());
    }
    let listener = StdListener::from(fd);
    listener.set_nonblocking(true).or_fail_io(doing)?;
    Ok(listener)
}

/// Accepts connections until the service should exit.
async fn accept(listener: StdListener, shared: Arc<Shared>, idle: Duration, stop: &Stop) -> Result<()> {
    let listener = UnixListener::from_std(listener).or_fail_io(|| "taking the socket from systemd")?;
    let slots = Slots::new(MOST_CONNECTIONS);
    let mut beat = tokio::time::interval(BEAT);
    let mut last_work = Instant::now();
    let mut requests_before = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((peer, _)) => {
                    last_work = Instant::now();
                    let user = user_of(&peer);
                    match slots.take(user) {
                        Some(slot) => {
                            let shared = Arc::clone(&shared);
                            tokio::spawn(async move { connection::serve(peer, user, slot, &shared).await });
                        }
                        None => drop(tokio::spawn(connection::turn_away(peer))),
                    }
                }
                // For example too many open files. The open connections continue.
                Err(error) => {
                    log::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(BEAT).await;
                }
            },
            _ = beat.tick() => {
                shared.queue.beat();
                let requests = shared.queue.requests();
                if shared.in_progress.load(Ordering::Relaxed) > 0 || requests != requests_before {
                    last_work = Instant::now();
                }
                requests_before = requests;
                if stop.is_set() {
                    break;
                }
                if last_work.elapsed() >= idle {
                    log::info!("exiting, idle for {}", humantime::format_duration(idle));
                    return Ok(());
                }
            }
        }
    }
    // Accepts no more connections. New ones wait in the socket for the next service.
    let end = Instant::now() + GRACE;
    while shared.in_progress.load(Ordering::Relaxed) > 0 && Instant::now() < end {
        beat.tick().await;
        shared.queue.beat();
    }
    Ok(())
}

/// Returns the uid of the process that opened the connection.
fn user_of(peer: &UnixStream) -> u32 {
    peer.peer_cred().map_or(u32::MAX, |credentials| credentials.uid())
}

/// Notifies systemd. Ignores errors: without systemd there is no socket, and the next datagram
/// replaces a lost one.
pub(crate) fn notify(state: &[NotifyState<'_>]) {
    let _unheard: std::io::Result<()> = sd_notify::notify(state);
}
