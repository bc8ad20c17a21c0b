//! The service from its first breath to its last.

use std::sync::Arc;
use std::time::Duration;

use nexus_cli::failure::{Exit, Failure, OrFail, Result};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::app::App;
use crate::args::Args;
use crate::calls;
use crate::http::connections::{Connections, Listener, Stage};
use crate::http::sockets::Sockets;
use crate::http::watchdog::{self, notify};

/// Two: one reads a large body while the other answers.
const WORKERS: usize = 2;

/// No recursion goes deeper than JSON may be nested.
const STACK: usize = 512 << 10;

/// How long what is at work may take when we are told to stop; the unit's TimeoutStopSec is longer.
const END: Duration = Duration::from_secs(25);

/// Serves until SIGTERM or SIGINT, and then to the end of what was begun.
///
/// # Errors
/// When it cannot begin: a wrong setting, no credential, no socket.
pub fn until_told_to_stop(args: Args) -> Result<()> {
    if args.content > args.body {
        return Err(Failure::new(Exit::Settings, "setting NEXUS_API_CONTENT")
            .because("it is larger than NEXUS_API_BODY, so no such text could ever arrive")
            .advise("Set NEXUS_API_BODY in /etc/nexus/nexus.env to more"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(2)
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .or_fail(Exit::Software, || "starting the runtime")?;
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> Result<()> {
    let sockets = Sockets::take(&args.listen)?;
    let app = Arc::new(App::new(args)?);
    if sockets.is_reachable_from_elsewhere() && !app.gate.has_token() {
        return Err(Failure::new(Exit::Settings, format!("listening on {}", sockets.names()))
            .because("other machines can reach it, and there is no token")
            .advise(
                "Put one into /etc/nexus/credentials/api_token (0600, root's), or listen on 127.0.0.1 alone",
            ));
    }
    let doing = || "setting the handler for SIGTERM and SIGINT";
    let mut term = signal(SignalKind::terminate()).or_fail(Exit::Software, doing)?;
    let mut int = signal(SignalKind::interrupt()).or_fail(Exit::Software, doing)?;

    let (to_stage, stage) = watch::channel(Stage::Open);
    let connections = Connections::new(Arc::clone(&app), calls::router(Arc::clone(&app)), stage);
    log::info!("serving on {}", sockets.names());
    let own_path = sockets.own_path();
    for listener in sockets.tcp {
        tokio::spawn(connections.clone().take(Listener::Tcp(listener)));
    }
    for listener in sockets.unix {
        tokio::spawn(connections.clone().take(Listener::Unix(listener)));
    }
    for listener in sockets.proxy {
        tokio::spawn(connections.clone().take(Listener::Proxy(listener)));
    }
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
    if let (Some(interval), Some(path)) = (sd_notify::watchdog_enabled(), own_path) {
        tokio::spawn(watchdog::feed(path, interval));
    }
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    notify(&[NotifyState::Stopping, NotifyState::Status("answering what was asked")]);
    connections.end(&to_stage, END).await;
    log::info!("stopped");
    Ok(())
}
