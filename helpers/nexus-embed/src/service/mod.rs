//! The service: connections are read and answered by one thread, texts are embedded by another (which shares its work out
//! among the processors), and it leaves when nobody has asked for a while.

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
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use crate::model::Model;

use queue::Queue;

/// How often it looks whether it is to leave.
const BEAT: Duration = Duration::from_millis(250);

/// Without a model it leaves soon, so that one that is installed is found at the next request.
const IDLE_WITHOUT_MODEL: Duration = Duration::from_secs(10);

/// How long requests that are being answered are waited for when it is stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(20);

/// Most connections; more are told that it is busy.
const MOST_CONNECTIONS: usize = 64;

/// Most bytes of requests that are held at once, in KiB.
const MOST_KIB: usize = 16 << 10;

/// What all connections share.
pub(crate) struct Shared {
    queue: Arc<Queue>,
    /// Room for requests, in KiB.
    room: Semaphore,
    /// Connections on which a request has begun and its answer has not ended.
    at_work: AtomicUsize,
}

/// Serves the socket that systemd has handed over as standard input, until nobody has asked for `idle`.
///
/// `load` gives the model; where it fails, every request is refused with its words.
///
/// # Errors
/// Usage (64) when standard input is no listening Unix socket.
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
    // This is one of the threads that share the work out: from any other one, each text would wait to be taken up by it.
    worker::run(&model.map_err(|failure| failure.to_string()), &queue);
    connections
        .join()
        .map_err(|_| Failure::new(Exit::Software, "serving connections: the thread has panicked"))?
}

/// Until it is to leave.
fn serve_connections(listener: StdListener, queue: &Arc<Queue>, idle: Duration, stop: &Stop) -> Result<()> {
    let shared =
        Shared { queue: Arc::clone(queue), room: Semaphore::new(MOST_KIB), at_work: AtomicUsize::new(0) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_fail(Exit::Software, || "starting the runtime")?;
    let outcome = runtime.block_on(accept(listener, Arc::new(shared), idle, stop));
    notify(&[NotifyState::Stopping]);
    // Ends the connections; whoever has begun to ask at this moment connects anew and starts the next service.
    drop(runtime);
    outcome
}

/// Standard input as a listening socket: `StandardInput=socket` (systemd.exec(5)).
fn listener() -> Result<StdListener> {
    let wrong = || {
        Failure::new(Exit::Usage, "taking the socket from systemd")
            .because("standard input is no listening Unix socket")
            .advise("The service is started by its socket: systemctl start nexus-embed.socket. See nexus-embed --help")
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

/// Takes connections until it is to leave.
async fn accept(listener: StdListener, shared: Arc<Shared>, idle: Duration, stop: &Stop) -> Result<()> {
    let listener = UnixListener::from_std(listener).or_fail_io(|| "taking the socket from systemd")?;
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut beat = tokio::time::interval(BEAT);
    let mut last_work = Instant::now();
    let mut asked_before = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((peer, _)) => {
                    last_work = Instant::now();
                    match Arc::clone(&connections).try_acquire_owned() {
                        Ok(leave) => {
                            let shared = Arc::clone(&shared);
                            tokio::spawn(async move {
                                connection::serve(peer, &shared).await;
                                drop(leave);
                            });
                        }
                        Err(_) => drop(tokio::spawn(connection::turn_away(peer))),
                    }
                }
                // Too many open files, for instance: those that are open go on, and end.
                Err(error) => {
                    log::warn!("taking a connection: {error}");
                    tokio::time::sleep(BEAT).await;
                }
            },
            _ = beat.tick() => {
                shared.queue.beat();
                let asked = shared.queue.asked();
                if shared.at_work.load(Ordering::Relaxed) > 0 || asked != asked_before {
                    last_work = Instant::now();
                }
                asked_before = asked;
                if stop.is_set() {
                    break;
                }
                if last_work.elapsed() >= idle {
                    log::info!("leaving, nobody has asked for {}", humantime::format_duration(idle));
                    return Ok(());
                }
            }
        }
    }
    // No connection is taken any more: new ones wait in the socket for the next service.
    let end = Instant::now() + LAST_ANSWERS;
    while shared.at_work.load(Ordering::Relaxed) > 0 && Instant::now() < end {
        beat.tick().await;
        shared.queue.beat();
    }
    Ok(())
}

/// Without systemd there is nobody to tell; a lost datagram is followed by the next.
pub(crate) fn notify(state: &[NotifyState<'_>]) {
    let _unheard: std::io::Result<()> = sd_notify::notify(state);
}
