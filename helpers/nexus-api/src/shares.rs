//! Divides what is limited among the peers: places for requests, memory for bodies, long calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::peer::Peer;

/// Equal units that peers share. All TCP clients are one peer.
///
/// A peer gets more while it has no more than is free. One peer can therefore take a half, two can
/// take a third each, and n peers leave a part of n + 1 for others. Fixed parts would add up: two
/// peers with a half each leave nothing.
pub(crate) struct Shares {
    units: Mutex<Units>,
}

struct Units {
    free: usize,
    taken: HashMap<Peer, usize>,
}

/// Units that a peer has taken; dropping it frees them.
pub(crate) struct Share {
    shares: Arc<Shares>,
    peer: Peer,
    units: usize,
}

impl Shares {
    /// Creates `units`, all free.
    pub(crate) fn new(units: usize) -> Arc<Self> {
        Arc::new(Self { units: Mutex::new(Units { free: units, taken: HashMap::new() }) })
    }

    /// Takes `units` for `peer`, or returns `None` if it would have too many.
    pub(crate) fn take(self: &Arc<Self>, peer: Peer, units: usize) -> Option<Share> {
        let mut share = Share { shares: Arc::clone(self), peer: peer.sharing(), units: 0 };
        share.grow(units).then_some(share)
    }

    /// Returns the most units that `peer` can have while others keep what they have.
    pub(crate) fn most(&self, peer: Peer) -> usize {
        let units = self.units();
        (units.of(peer.sharing()) + units.free).div_ceil(2)
    }

    fn units(&self) -> MutexGuard<'_, Units> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Units {
    fn of(&self, peer: Peer) -> usize {
        self.taken.get(&peer).copied().unwrap_or_default()
    }
}

impl Share {
    /// Takes `more` units, or none and returns false if the peer would have too many.
    #[must_use]
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let mut units = self.shares.units();
        let taken = units.of(self.peer) + more;
        // No units are always granted: a small body needs none.
        if more > 0 && taken > units.free {
            return false;
        }
        units.free -= more;
        units.taken.insert(self.peer, taken);
        self.units += more;
        true
    }

    /// Returns the number of units.
    pub(crate) fn units(&self) -> usize {
        self.units
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut units = self.shares.units();
        units.free += self.units;
        let left = units.of(self.peer) - self.units;
        if left == 0 {
            units.taken.remove(&self.peer);
        } else {
            units.taken.insert(self.peer, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one unit after the other until `peer` gets no more.
    fn all(shares: &Arc<Shares>, peer: Peer) -> Vec<Share> {
        std::iter::from_fn(|| shares.take(peer, 1)).collect()
    }

    fn tcp(address: [u8; 4]) -> Peer {
        Peer::Address(address.into())
    }

    #[test]
    fn peers_that_take_all_they_can_leave_a_share_for_others() {
        let shares = Shares::new(64);
        let mut held = Vec::new();
        for (peer, wanted) in
            [(tcp([127, 0, 0, 1]), 32), (Peer::Proxy, 16), (Peer::User(1), 8), (Peer::User(2), 4)]
        {
            assert_eq!(shares.most(peer), wanted);
            held.push(all(&shares, peer));
            assert_eq!(held.last().unwrap().len(), wanted, "{peer:?}");
        }
        assert!(shares.take(Peer::User(3), 1).is_some());
        drop(held);
        assert_eq!(shares.units().free, 64);
        assert!(shares.units().taken.is_empty());
    }

    #[test]
    fn all_tcp_clients_are_one_peer() {
        let shares = Shares::new(8);
        let _held = all(&shares, tcp([127, 0, 0, 1]));
        assert!(shares.take(tcp([192, 0, 2, 1]), 1).is_none());
        assert!(shares.take(Peer::Proxy, 1).is_some());
    }

    #[test]
    fn a_share_grows_until_the_peer_has_its_part() {
        let shares = Shares::new(10);
        let mut share = shares.take(Peer::User(1), 0).unwrap();
        assert!(share.grow(3));
        assert!(!share.grow(5), "it would have eight of ten");
        assert!(share.grow(2));
        assert_eq!((share.units(), shares.units().free), (5, 5));
        assert!(shares.take(Peer::User(1), 1).is_none());
        assert!(shares.take(Peer::User(2), 5).is_some());
        let _all = shares.take(Peer::User(2), 5).unwrap();
        assert!(share.grow(0) && shares.take(Peer::User(1), 0).is_some(), "no units are always granted");
    }
}
