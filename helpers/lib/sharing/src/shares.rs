//! Divides units of what is limited, such as places for requests or memory for their bodies.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Equal units that peers share. `P` tells one peer from another.
///
/// A peer gets more while it has no more than is free, so it can take half of what the others have
/// left. Peers that come one after the other can take 1/2, 1/4, 1/8 … of all units; n peers that take
/// units by turns, 1/(n + 1) each. Fixed parts would add up: two peers with a half each leave nothing.
#[derive(Debug)]
pub struct Shares<P> {
    units: Mutex<Units<P>>,
}

#[derive(Debug)]
struct Units<P> {
    free: usize,
    taken: HashMap<P, usize>,
}

/// Units that a peer has taken; dropping it frees them.
#[derive(Debug)]
pub struct Share<P: Copy + Eq + Hash> {
    shares: Arc<Shares<P>>,
    peer: P,
    units: usize,
}

impl<P: Copy + Eq + Hash> Shares<P> {
    /// Creates `units`, all free.
    pub fn new(units: usize) -> Arc<Self> {
        Arc::new(Self { units: Mutex::new(Units { free: units, taken: HashMap::new() }) })
    }

    /// Takes `units` for `peer`, or returns `None` if it would have too many.
    pub fn take(self: &Arc<Self>, peer: P, units: usize) -> Option<Share<P>> {
        let mut share = Share { shares: Arc::clone(self), peer, units: 0 };
        share.grow(units).then_some(share)
    }

    /// Returns the most units that `peer` can have while others keep what they have.
    pub fn most(&self, peer: P) -> usize {
        let units = self.units();
        (units.of(&peer) + units.free).div_ceil(2)
    }

    fn units(&self) -> MutexGuard<'_, Units<P>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Eq + Hash> Units<P> {
    fn of(&self, peer: &P) -> usize {
        self.taken.get(peer).copied().unwrap_or_default()
    }
}

impl<P: Copy + Eq + Hash> Share<P> {
    /// Takes `more` units, or none and returns false if the peer would have too many.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        let mut units = self.shares.units();
        let taken = units.of(&self.peer) + more;
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
    pub fn units(&self) -> usize {
        self.units
    }
}

impl<P: Copy + Eq + Hash> Drop for Share<P> {
    fn drop(&mut self) {
        let mut units = self.shares.units();
        units.free += self.units;
        let left = units.of(&self.peer) - self.units;
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
    fn all(shares: &Arc<Shares<u32>>, peer: u32) -> Vec<Share<u32>> {
        std::iter::from_fn(|| shares.take(peer, 1)).collect()
    }

    #[test]
    fn peers_that_take_all_they_can_leave_a_share_for_others() {
        let shares = Shares::new(64);
        let mut held = Vec::new();
        for (peer, wanted) in [(1, 32), (2, 16), (3, 8), (4, 4)] {
            assert_eq!(shares.most(peer), wanted);
            held.push(all(&shares, peer));
            assert_eq!(held.last().unwrap().len(), wanted, "{peer}");
        }
        assert!(shares.take(5, 1).is_some());
        drop(held);
        assert_eq!(shares.units().free, 64);
        assert!(shares.units().taken.is_empty());
    }

    #[test]
    fn a_share_grows_until_the_peer_has_its_part() {
        let shares = Shares::new(10);
        let mut share = shares.take(1, 0).unwrap();
        assert!(share.grow(3));
        assert!(!share.grow(5), "it would have eight of ten");
        assert!(share.grow(2));
        assert_eq!((share.units(), shares.units().free), (5, 5));
        assert!(shares.take(1, 1).is_none());
        assert!(shares.take(2, 5).is_some());
        let _all = shares.take(2, 5).unwrap();
        assert!(share.grow(0) && shares.take(1, 0).is_some(), "no units are always granted");
    }
}
