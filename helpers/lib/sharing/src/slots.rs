//! The connections of one listening socket: how many may be open, and which one is closed for a new one.
//!
//! A full socket does not refuse the next connection, because anybody may have filled it. It closes
//! the longest idle connection of the user that has the most.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections of one listening socket. `U` tells one user from another.
#[derive(Debug)]
pub struct Slots<U> {
    most: usize,
    open: Mutex<HashMap<u64, Arc<Activity<U>>>>,
    /// The number of the next event on any connection.
    clock: AtomicU64,
}

/// An open connection; dropping it makes room for another.
#[derive(Debug)]
pub struct Slot<U> {
    slots: Arc<Slots<U>>,
    id: u64,
    activity: Arc<Activity<U>>,
}

/// What happens on one connection.
#[derive(Debug)]
struct Activity<U> {
    user: U,
    /// The number of the last event: the connection opened, a request began or ended, a part of a
    /// long response was sent.
    last: AtomicU64,
    /// A request is in progress. The service limits how many are.
    is_at_work: AtomicBool,
    is_told_to_close: AtomicBool,
    told: Notify,
}

impl<U: Copy + Eq + Hash> Slots<U> {
    /// Creates slots for `most` connections.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default(), clock: AtomicU64::new(0) })
    }

    /// Takes a slot for a connection of `user`. If all are taken, tells an idle connection to
    /// close; returns `None` if none is idle.
    pub fn take(self: &Arc<Self>, user: U) -> Option<Slot<U>> {
        let mut open = self.open();
        let staying = open.values().filter(|activity| !activity.is_told_to_close()).count();
        for _ in self.most..=staying {
            close_one(&open)?;
        }
        let id = self.now();
        let activity = Arc::new(Activity {
            user,
            last: AtomicU64::new(id),
            is_at_work: AtomicBool::new(false),
            is_told_to_close: AtomicBool::new(false),
            told: Notify::new(),
        });
        open.insert(id, Arc::clone(&activity));
        Some(Slot { slots: Arc::clone(self), id, activity })
    }
}

impl<U> Slots<U> {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Activity<U>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the longest idle connection of the user with the most to close. Returns `None` if none is
/// idle.
fn close_one<U: Copy + Eq + Hash>(open: &HashMap<u64, Arc<Activity<U>>>) -> Option<()> {
    let staying = || open.values().filter(|activity| !activity.is_told_to_close());
    let mut counts: HashMap<U, usize> = HashMap::new();
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

impl<U> Slot<U> {
    /// Runs `work`, which answers a request. The connection is not told to close meanwhile.
    pub async fn work<T>(&self, work: impl Future<Output = T>) -> T {
        self.touch();
        self.activity.is_at_work.store(true, Ordering::Relaxed);
        let done = work.await;
        self.activity.is_at_work.store(false, Ordering::Relaxed);
        self.touch();
        done
    }

    /// Records an event.
    pub fn touch(&self) {
        self.activity.last.store(self.slots.now(), Ordering::Relaxed);
    }

    /// Returns whether another connection has got this one's place. A client that always has a next
    /// request in the buffer must not keep the connection.
    pub fn is_told_to_close(&self) -> bool {
        self.activity.is_told_to_close()
    }

    /// Waits until the connection must close. A request that has just come is answered first, and
    /// the connection stays open.
    pub async fn must_close(&self) {
        loop {
            self.activity.told.notified().await;
            if !self.activity.is_at_work.load(Ordering::Relaxed) {
                return;
            }
            self.activity.is_told_to_close.store(false, Ordering::Relaxed);
        }
    }
}

impl<U> Drop for Slot<U> {
    fn drop(&mut self) {
        self.slots.open().remove(&self.id);
    }
}

impl<U> Activity<U> {
    fn is_told_to_close(&self) -> bool {
        self.is_told_to_close.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_open(slot: &Slot<u32>) -> bool {
        !slot.activity.is_told_to_close()
    }

    #[test]
    fn a_new_connection_closes_the_one_that_is_idle_longest() {
        let slots = Slots::new(3);
        let first: Vec<_> = (0..3).map(|_| slots.take(0).unwrap()).collect();
        first[0].touch();
        let next = slots.take(0).unwrap();
        assert_eq!(first.iter().map(is_open).collect::<Vec<_>>(), [true, false, true]);
        assert!(is_open(&next));
        assert!(first[1].must_close().now_or_never().is_some());
        assert!(first[0].must_close().now_or_never().is_none());
    }

    #[test]
    fn a_connection_that_ends_makes_room() {
        let slots = Slots::new(2);
        let first = slots.take(0).unwrap();
        drop(slots.take(0).unwrap());
        let _second = slots.take(0).unwrap();
        assert!(is_open(&first));
    }

    #[test]
    fn one_user_takes_no_slot_of_another() {
        let slots = Slots::new(100);
        let alice: Vec<_> = (0..10).map(|_| slots.take(1).unwrap()).collect();
        // All are still open; those told to close do not count.
        let mallory: Vec<_> = (0..1000).map(|_| slots.take(2).unwrap()).collect();
        assert!(alice.iter().all(is_open));
        assert_eq!(mallory.iter().filter(|slot| is_open(slot)).count(), 90);
        assert!(mallory.iter().skip(910).all(is_open));
        let more: Vec<_> = (0..20).map(|_| slots.take(1).unwrap()).collect();
        assert!(alice.iter().chain(&more).all(is_open));
    }

    #[tokio::test]
    async fn a_request_is_answered_before_its_connection_closes() {
        let slots = Slots::new(1);
        let slot = slots.take(0).unwrap();
        slot.work(async {
            assert!(slots.take(0).is_none(), "the only connection is at work");
        })
        .await;
        let next = slots.take(0).unwrap();
        assert!(!is_open(&slot));
        // A request came before the connection closed.
        slot.work(async { assert!(slot.must_close().now_or_never().is_none()) }).await;
        assert!(is_open(&slot) && is_open(&next));
        let _third = slots.take(0).unwrap();
        assert!(!is_open(&slot) && !is_open(&next), "there is one too many, so both close");
    }
}
