//! The other end of a connection.

use std::net::{IpAddr, Ipv4Addr};

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// A TCP client, by its address.
    Address(IpAddr),
    /// A client of the Unix socket, by its uid.
    User(u32),
    /// The proxy, for a client on another machine.
    Proxy,
}

/// Whom a peer counts as when resources are shared. All TCP clients are one: any user is a TCP client
/// too, and can take any address of 127.0.0.0/8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sharer(Peer);

impl Peer {
    /// Returns the peer at `address`. All of loopback is one peer: a program can take any address
    /// of 127.0.0.0/8, and would get a rate and places for each.
    pub(crate) fn of_address(address: IpAddr) -> Self {
        let is_local = address.to_canonical().is_loopback();
        Self::Address(if is_local { Ipv4Addr::LOCALHOST.into() } else { address })
    }

    /// Returns whom the peer counts as when resources are shared.
    pub(crate) fn sharing(self) -> Sharer {
        Sharer(match self {
            Self::Address(_) => Self::Address(Ipv4Addr::LOCALHOST.into()),
            Self::User(_) | Self::Proxy => self,
        })
    }

    /// Returns whether it is on this machine, and not a proxy.
    pub(crate) fn is_local(self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::User(_) => true,
            Self::Proxy => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_loopback_is_one_peer() {
        let peer = |address: &str| Peer::of_address(address.parse().unwrap());
        for address in ["127.0.0.2", "127.255.0.1", "::1", "::ffff:127.0.0.9"] {
            assert_eq!(peer(address), peer("127.0.0.1"), "{address}");
        }
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }

    #[test]
    fn all_tcp_clients_share_as_one() {
        let tcp = |address: &str| Peer::of_address(address.parse().unwrap()).sharing();
        assert_eq!(tcp("127.0.0.1"), tcp("192.0.2.1"));
        assert_ne!(tcp("127.0.0.1"), Peer::Proxy.sharing());
        assert_ne!(Peer::User(1).sharing(), Peer::User(2).sharing());
    }
}
