//! Limits each client's requests a minute with a token bucket, which holds ten seconds' worth of
//! requests.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds' worth of requests in a full bucket.
const BURST: f64 = 10.0;

/// The most clients in memory. More are dropped, those with full buckets first.
const MOST_CLIENTS: usize = 10_000;

/// A limit for each client, which `K` names.
pub(crate) struct Rate<K> {
    /// Zero means no limit.
    per_second: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    level: f64,
    at: Instant,
}

impl<K: Eq + Hash> Rate<K> {
    /// Allows `per_minute` requests; 0 means no limit.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_second: f64::from(per_minute) / 60.0, buckets: Mutex::default() }
    }

    /// Counts one request of `client` at `now`. The error is the time that it must wait.
    pub(crate) fn take(&self, client: K, now: Instant) -> Result<(), Duration> {
        if self.per_second == 0.0 {
            return Ok(());
        }
        let full = (self.per_second * BURST).max(1.0);
        let level = |bucket: &Bucket| {
            (bucket.level + now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second)
                .min(full)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_CLIENTS {
            buckets.retain(|_, bucket| level(bucket) < full);
            if buckets.len() >= MOST_CLIENTS {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(client).or_insert(Bucket { level: full, at: now });
        let left = level(bucket);
        bucket.at = now;
        if left < 1.0 {
            bucket.level = left;
            return Err(Duration::from_secs_f64((1.0 - left) / self.per_second));
        }
        bucket.level = left - 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_bucket_and_it_fills_again() {
        let (rate, now) = (Rate::new(60), Instant::now());
        for _ in 0..10 {
            rate.take("a", now).unwrap();
        }
        assert!(rate.take("a", now).unwrap_err() <= Duration::from_secs(1));
        rate.take("b", now).unwrap();
        rate.take("a", now + Duration::from_secs(1)).unwrap();
        assert!(rate.take("a", now + Duration::from_secs(1)).is_err());
        let none = Rate::new(0);
        assert!((0..10_000).all(|_| none.take("a", now).is_ok()));
    }
}
