//! The connections of one listening socket: how many may be open, and which one is closed for a new one.
//!
//! It is unknown which program is behind a TCP connection from this machine, so a full socket does
//! not refuse the next connection. It closes the longest idle connection of the user that has the
//! most.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::peer::Peer;

/// The connections of one listening socket.
pub(crate) struct Slots {
    most: usize,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    /// The number of the next event on any connection.
    clock: AtomicU64,
}

/// An open connection; dropping it makes room for another.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    activity: Arc<Activity>,
}

/// What happens on one connection.
struct Activity {
    /// The peer's uid, if it uses the Unix socket.
    user: Option<u32>,
    /// The number of the last event: the connection opened, a request began or ended, a part of a
    /// long response was sent.
    last: AtomicU64,
    /// A request is in progress. The gate limits how many are.
    is_at_work: AtomicBool,
    is_told_to_close: AtomicBool,
    told: Notify,
}

impl Slots {
    /// Creates slots for `most` connections.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default(), clock: AtomicU64::new(0) })
    }

    /// Takes a slot for a connection of `peer`. If all are taken, tells an idle connection to
    /// close; returns `None` if none is idle.
    pub(crate) fn take(self: &Arc<Self>, peer: Peer) -> Option<Slot> {
        let mut open = self.open();
        let staying = open.values().filter(|activity| !activity.is_told_to_close()).count();
        for _ in self.most..=staying {
            close_one(&open)?;
        }
        let id = self.now();
        let activity = Arc::new(Activity {
            user: match peer {
                Peer::User(user) => Some(user),
                // Any program can take any address of 127.0.0.0/8, so addresses do not tell programs apart.
                Peer::Address(_) | Peer::Proxy => None,
            },
            last: AtomicU64::new(id),
            is_at_work: AtomicBool::new(false),
            is_told_to_close: AtomicBool::new(false),
            told: Notify::new(),
        });
        open.insert(id, Arc::clone(&activity));
        Some(Slot { slots: Arc::clone(self), id, activity })
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the longest idle connection of the user with the most to close. Returns `None` if none is
/// idle.
fn close_one(open: &HashMap<u64, Arc<Activity>>) -> Option<()> {
    let staying = || open.values().filter(|activity| !activity.is_told_to_close());
    let mut counts: HashMap<Option<u32>, usize> = HashMap::new();
    for activity in staying() {
        *counts.entry(activity.user).or_default() += 1;
    }
    let idle = staying().filter(|activity| !activity.is_at_work.load(Ordering::Relaxed));
    let chosen = idle.min_by_key(|activity| {
        (Reverse(counts.get(&activity.user).copied()), activity.last.load(Ordering::Relaxed))
    })?;
    chosen.is_told_to_close.store(true, Ordering::Relaxed);
    chosen.told.notify_one();
    Some(())
}

impl Slot {
    /// Runs `work`, which answers a request. The connection is not told to close meanwhile.
    pub(crate) async fn work<T>(&self, work: impl Future<Output = T>) -> T {
        self.touch();
        self.activity.is_at_work.store(true, Ordering::Relaxed);
        let done = work.await;
        self.activity.is_at_work.store(false, Ordering::Relaxed);
        self.touch();
        done
    }

    /// Records an event.
    pub(crate) fn touch(&self) {
        self.activity.last.store(self.slots.now(), Ordering::Relaxed);
    }

    /// Waits until the connection must close. A request that has just come is answered first, and
    /// the connection stays open.
    pub(crate) async fn must_close(&self) {
        loop {
            self.activity.told.notified().await;
            if !self.activity.is_at_work.load(Ordering::Relaxed) {
                return;
            }
            self.activity.is_told_to_close.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.open().remove(&self.id);
    }
}

impl Activity {
    fn is_told_to_close(&self) -> bool {
        self.is_told_to_close.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use futures_util::FutureExt;

    use super::*;

    const LOCAL: Peer = Peer::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));

    fn is_open(slot: &Slot) -> bool {
        !slot.activity.is_told_to_close()
    }

    #[test]
    fn a_new_connection_closes_the_one_that_is_idle_longest() {
        let slots = Slots::new(3);
        let first: Vec<_> = (0..3).map(|_| slots.take(LOCAL).unwrap()).collect();
        first[0].touch();
        let next = slots.take(LOCAL).unwrap();
        assert_eq!(first.iter().map(is_open).collect::<Vec<_>>(), [true, false, true]);
        assert!(is_open(&next));
        assert!(first[1].must_close().now_or_never().is_some());
        assert!(first[0].must_close().now_or_never().is_none());
    }

    #[test]
    fn a_connection_that_ends_makes_room() {
        let slots = Slots::new(2);
        let first = slots.take(LOCAL).unwrap();
        drop(slots.take(LOCAL).unwrap());
        let _second = slots.take(LOCAL).unwrap();
        assert!(is_open(&first));
    }

    #[test]
    fn one_user_takes_no_slot_of_another() {
        let slots = Slots::new(100);
        let alice: Vec<_> = (0..10).map(|_| slots.take(Peer::User(1)).unwrap()).collect();
        // All are still open; those told to close do not count.
        let mallory: Vec<_> = (0..1000).map(|_| slots.take(Peer::User(2)).unwrap()).collect();
        assert!(alice.iter().all(is_open));
        assert_eq!(mallory.iter().filter(|slot| is_open(slot)).count(), 90);
        assert!(mallory.iter().skip(910).all(is_open));
        let more: Vec<_> = (0..20).map(|_| slots.take(Peer::User(1)).unwrap()).collect();
        assert!(alice.iter().chain(&more).all(is_open));
    }

    #[test]
    fn an_address_takes_no_slot_by_having_many_names() {
        let slots = Slots::new(4);
        let alice: Vec<_> = (0..2).map(|_| slots.take(LOCAL).unwrap()).collect();
        let others =
            (2..4).map(|last| slots.take(Peer::Address(Ipv4Addr::new(127, 0, 0, last).into())).unwrap());
        let others: Vec<_> = others.collect();
        alice.iter().for_each(Slot::touch);
        let _next = slots.take(Peer::Address(Ipv4Addr::new(127, 0, 0, 9).into())).unwrap();
        assert!(alice.iter().all(is_open));
        assert!(!is_open(&others[0]));
    }

    #[tokio::test]
    async fn a_request_is_answered_before_its_connection_closes() {
        let slots = Slots::new(1);
        let slot = slots.take(LOCAL).unwrap();
        slot.work(async {
            assert!(slots.take(LOCAL).is_none(), "the only connection is at work");
        })
        .await;
        let next = slots.take(LOCAL).unwrap();
        assert!(!is_open(&slot));
        // A request came before the connection closed.
        slot.work(async { assert!(slot.must_close().now_or_never().is_none()) }).await;
        assert!(is_open(&slot) && is_open(&next));
        let _third = slots.take(LOCAL).unwrap();
        assert!(!is_open(&slot) && !is_open(&next), "there is one too many, so both close");
    }
}
