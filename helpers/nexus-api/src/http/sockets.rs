//! The listening sockets: those that systemd hands over, else those that the command line names.

use std::net::TcpListener as StdTcpListener;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;

use listenfd::ListenFd;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use tokio::net::{TcpListener, UnixListener};

/// What is listened on.
pub(crate) struct Sockets {
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) unix: Vec<UnixListener>,
    /// Over these come requests from other machines.
    pub(crate) proxy: Vec<UnixListener>,
}

/// The name that nexus-api-proxy.socket gives its socket (systemd.socket(5), `FileDescriptorName=`).
const PROXY: &str = "proxy";

impl Sockets {
    /// Takes them. Must be called within the runtime.
    ///
    /// # Errors
    /// Usage (64) when there is none; I/O (74).
    pub(crate) fn take(named: &[String]) -> Result<Self> {
        let mut sockets = Self { tcp: Vec::new(), unix: Vec::new(), proxy: Vec::new() };
        // The names first: what takes the sockets may take the variables away.
        let labels = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        for place in 0..passed.len() {
            sockets.take_passed(&mut passed, place, labels.split(':').nth(place) == Some(PROXY))?;
        }
        if passed.len() == 0 {
            for address in named {
                sockets.bind(address)?;
            }
        }
        if sockets.tcp.is_empty() && sockets.unix.is_empty() {
            return Err(Failure::new(Exit::Usage, "taking the sockets that systemd hands over")
                .because("there is none")
                .advise("systemd runs this: systemctl start nexus-api.socket; by hand: nexus-api --listen 127.0.0.1:8003"));
        }
        Ok(sockets)
    }

    fn take_passed(&mut self, passed: &mut ListenFd, place: usize, is_proxy: bool) -> Result<()> {
        let doing = || format!("taking socket {place} that systemd hands over");
        // One that is of the other kind is left where it is.
        if let Ok(Some(listener)) = passed.take_unix_listener(place) {
            let listener = tokio_listener(listener).or_fail_io(doing)?;
            if is_proxy { &mut self.proxy } else { &mut self.unix }.push(listener);
            return Ok(());
        }
        if is_proxy {
            return Err(Failure::new(Exit::Settings, doing())
                .because("it is the proxy's, and no Unix socket")
                .advise("See what systemctl cat nexus-api-proxy.socket says: who may open a Unix socket can be told, who a port cannot"));
        }
        match passed.take_tcp_listener(place).or_fail_io(doing)? {
            Some(listener) => self.add_tcp(listener).or_fail_io(doing),
            None => Ok(()),
        }
    }

    fn bind(&mut self, address: &str) -> Result<()> {
        let doing = || format!("listening on {address}");
        if address.starts_with('/') {
            let listener = StdUnixListener::bind(address).or_fail_io(doing)?;
            self.unix.push(tokio_listener(listener).or_fail_io(doing)?);
            Ok(())
        } else {
            self.add_tcp(StdTcpListener::bind(address).or_fail_io(doing)?).or_fail_io(doing)
        }
    }

    fn add_tcp(&mut self, listener: StdTcpListener) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        self.tcp.push(TcpListener::from_std(listener)?);
        Ok(())
    }

    /// Whether somebody on another machine could reach one of them.
    pub(crate) fn is_reachable_from_elsewhere(&self) -> bool {
        let addresses = self.tcp.iter().map(TcpListener::local_addr);
        addresses.into_iter().any(|address| address.map_or(true, |address| !address.ip().is_loopback()))
    }

    /// The path of a Unix socket of ours, by which we can ask ourselves.
    pub(crate) fn own_path(&self) -> Option<PathBuf> {
        self.unix.iter().find_map(|listener| listener.local_addr().ok()?.as_pathname().map(ToOwned::to_owned))
    }

    /// For the journal.
    pub(crate) fn names(&self) -> String {
        let tcp = self.tcp.iter().filter_map(|listener| Some(listener.local_addr().ok()?.to_string()));
        let unix =
            self.unix.iter().chain(&self.proxy).filter_map(|listener| {
                Some(listener.local_addr().ok()?.as_pathname()?.display().to_string())
            });
        tcp.chain(unix).collect::<Vec<_>>().join(" and ")
    }
}

fn tokio_listener(listener: StdUnixListener) -> std::io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}
