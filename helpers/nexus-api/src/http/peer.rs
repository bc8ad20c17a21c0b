//! Who is at the other end of a connection.

use std::net::IpAddr;

/// An address, a user of this machine, or what stands between us and other machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// Over TCP.
    Address(IpAddr),
    /// Over the Unix socket: its uid.
    User(u32),
    /// Over the proxy's socket: whoever asks is on another machine.
    Proxy,
}
