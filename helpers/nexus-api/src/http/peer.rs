//! Who is at the other end of a connection.

use std::net::IpAddr;

/// An address, or a user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// Over TCP.
    Address(IpAddr),
    /// Over the Unix socket: its uid.
    User(u32),
}
