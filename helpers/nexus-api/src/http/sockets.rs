//! The listening sockets: those from systemd, else those of the command line.

use std::net::TcpListener as StdTcpListener;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;

use listenfd::ListenFd;
use nexus_cli::failure::{Exit, Failure, OrFailIo, Result};
use tokio::net::{TcpListener, UnixListener};

/// The listening sockets.
pub(crate) struct Sockets {
    pub(crate) tcp: Vec<TcpListener>,
    pub(crate) unix: Vec<UnixListener>,
    /// The sockets for requests from other machines.
    pub(crate) proxy: Vec<UnixListener>,
}

/// The name that nexus-api-proxy.socket gives its socket (systemd.socket(5), `FileDescriptorName=`).
const PROXY: &str = "proxy";

impl Sockets {
    /// Takes the sockets from systemd, or binds those `named`. Must be called within the runtime.
    ///
    /// # Errors
    /// Usage (64) if there is none; I/O (74).
    pub(crate) fn take(named: &[String]) -> Result<Self> {
        let mut sockets = Self { tcp: Vec::new(), unix: Vec::new(), proxy: Vec::new() };
        // First, because taking the sockets may remove the variables.
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
            return Err(Failure::new(Exit::Usage, "opening the listening sockets")
                .because("systemd passed none")
                .advise("Start it with systemctl start nexus-api.socket, or by hand with nexus-api --listen 127.0.0.1:8003"));
        }
        Ok(sockets)
    }

    fn take_passed(&mut self, passed: &mut ListenFd, place: usize, is_proxy: bool) -> Result<()> {
        let doing = || format!("taking socket {place} from systemd");
        // This leaves a TCP socket in its place.
        if let Ok(Some(listener)) = passed.take_unix_listener(place) {
            let listener = tokio_listener(listener).or_fail_io(doing)?;
            if is_proxy { &mut self.proxy } else { &mut self.unix }.push(listener);
            return Ok(());
        }
        if is_proxy {
            return Err(Failure::new(Exit::Settings, doing())
                .because("it is named proxy, but it is not a Unix socket")
                .advise("Check that ListenStream= is a path: systemctl cat nexus-api-proxy.socket. A port has no file mode to protect it"));
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

    /// Returns whether another machine could reach a socket.
    pub(crate) fn is_reachable_from_elsewhere(&self) -> bool {
        let addresses = self.tcp.iter().map(TcpListener::local_addr);
        addresses.into_iter().any(|address| address.map_or(true, |address| !address.ip().is_loopback()))
    }

    /// Returns the path of a Unix socket, for the watchdog's requests.
    pub(crate) fn own_path(&self) -> Option<PathBuf> {
        self.unix.iter().find_map(|listener| listener.local_addr().ok()?.as_pathname().map(ToOwned::to_owned))
    }

    /// Lists the sockets, for the journal.
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
