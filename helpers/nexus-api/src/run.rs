//! Starts the service, and stops it on a signal.

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
use crate::http::gate::Gate;
use crate::http::sockets::Sockets;
use crate::http::watchdog::{self, notify};

/// Two threads: one can read a large body while the other answers.
const WORKERS: usize = 2;

/// Small, because the deepest recursion is nested JSON, which is limited.
const STACK: usize = 512 << 10;

/// Time for the requests in progress after a signal. The unit's TimeoutStopSec is longer.
const GRACE: Duration = Duration::from_secs(25);

/// Serves until SIGTERM or SIGINT, then finishes the requests in progress.
///
/// # Errors
/// If a setting, a credential or a socket is missing or wrong.
pub fn until_signal(args: Args) -> Result<()> {
    if args.content > args.body {
        return Err(Failure::new(Exit::Settings, "setting NEXUS_API_CONTENT")
            .because("it is larger than NEXUS_API_BODY, so such a text could not be sent")
            .advise("Raise NEXUS_API_BODY in /etc/nexus/nexus.env"));
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
    let gate = Arc::new(Gate::new(&app.args, Arc::clone(&app.metrics))?);
    if sockets.is_reachable_from_elsewhere() && !gate.has_token() {
        return Err(Failure::new(Exit::Settings, format!("listening on {}", sockets.names()))
            .because("other machines can reach it, and there is no token")
            .advise(
                "Put one into /etc/nexus/credentials/api_token (mode 0600, owner root), or listen on 127.0.0.1 alone",
            ));
    }
    let doing = || "setting the handler for SIGTERM and SIGINT";
    let mut term = signal(SignalKind::terminate()).or_fail(Exit::Software, doing)?;
    let mut int = signal(SignalKind::interrupt()).or_fail(Exit::Software, doing)?;

    let (to_stage, stage) = watch::channel(Stage::Open);
    let metrics = Arc::clone(&app.metrics);
    let connections = Connections::new(metrics, gate.guard(calls::router(app)), stage);
    log::info!("serving on {}", sockets.names());
    let own_path = sockets.own_path();
    for listener in sockets.tcp {
        tokio::spawn(connections.clone().accept(Listener::Tcp(listener)));
    }
    for listener in sockets.unix {
        tokio::spawn(connections.clone().accept(Listener::Unix(listener)));
    }
    for listener in sockets.proxy {
        tokio::spawn(connections.clone().accept(Listener::Proxy(listener)));
    }
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
    if let (Some(interval), Some(path)) = (sd_notify::watchdog_enabled(), own_path) {
        tokio::spawn(watchdog::feed(path, interval));
    }
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    notify(&[NotifyState::Stopping, NotifyState::Status("finishing requests")]);
    gate.close();
    connections.end(&to_stage, GRACE).await;
    log::info!("stopped");
    Ok(())
}
