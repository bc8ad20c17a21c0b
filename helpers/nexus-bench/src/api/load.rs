//! Requests of two kinds: of clients that ask as fast as they are answered, for what can be had at most; and at their times
//! (an open loop), so that an API that hangs is not asked less, and those who wait behind a slow answer count.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nexus_cli::failure::Result;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::api::client::Client;
use crate::data::random::Random;
use crate::report::Figure;

/// Where requests go, and which.
pub(super) struct Requests {
    pub(super) path: &'static str,
    /// Asked one after the other, again from the first when they are used up.
    pub(super) bodies: Vec<Bytes>,
}

/// How long answers took, in milliseconds, and how many there were.
pub(super) struct Times {
    took: Vec<f64>,
    errors: usize,
    whole: Duration,
}

impl Requests {
    fn body(&self, number: usize) -> Bytes {
        self.bodies.get(number % self.bodies.len().max(1)).cloned().unwrap_or_default()
    }

    /// `clients` ask for `time`, each as soon as its last request is answered.
    ///
    /// # Errors
    /// When the first request fails; later failures are counted.
    pub(super) async fn closed(
        self: &Arc<Self>,
        client: &Arc<Client>,
        clients: u16,
        time: Duration,
    ) -> Result<Times> {
        client.post(self.path, self.body(0)).await?;
        let began = Instant::now();
        let mut asking = JoinSet::new();
        for number in 0..usize::from(clients) {
            let (client, requests) = (Arc::clone(client), Arc::clone(self));
            asking.spawn(async move {
                let mut answers = Vec::new();
                // Each client begins elsewhere.
                let mut next = number * requests.bodies.len() / usize::from(clients);
                while began.elapsed() < time {
                    let asked = Instant::now();
                    let answer = client.post(requests.path, requests.body(next)).await;
                    answers.push((asked.elapsed(), answer));
                    next += 1;
                }
                answers
            });
        }
        Ok(Times::of(asking.join_all().await.into_iter().flatten().collect(), began.elapsed()))
    }

    /// For `time`, `rate` requests a second on average come at times that are random as those of many independent people are,
    /// over `clients` connections; each is timed from when it should have begun.
    ///
    /// # Errors
    /// As [`Requests::closed`].
    pub(super) async fn open(
        self: &Arc<Self>,
        client: &Arc<Client>,
        clients: u16,
        time: Duration,
        rate: f64,
        random: &mut Random,
    ) -> Result<Times> {
        client.post(self.path, self.body(0)).await?;
        let free = Arc::new(Semaphore::new(usize::from(clients)));
        let mut asking = JoinSet::new();
        let began = Instant::now();
        let mut at = began;
        for number in 0.. {
            at += Duration::from_secs_f64(-(1.0 - random.unit()).ln() / rate);
            if at >= began + time {
                break;
            }
            sleep_until(at).await;
            let (client, requests, free) = (Arc::clone(client), Arc::clone(self), Arc::clone(&free));
            asking.spawn(async move {
                // It is never closed.
                let _turn = free.acquire().await;
                let answer = client.post(requests.path, requests.body(number)).await;
                (at.elapsed(), answer)
            });
        }
        Ok(Times::of(asking.join_all().await, began.elapsed()))
    }
}

impl Times {
    pub(super) fn of(answers: Vec<(Duration, Result<Value>)>, whole: Duration) -> Self {
        let (mut took, mut errors) = (Vec::new(), 0);
        for (time, answer) in answers {
            match answer {
                Ok(_) => took.push(time.as_secs_f64() * 1000.0),
                Err(failure) => {
                    log::warn!("{failure}");
                    errors += 1;
                }
            }
        }
        took.sort_by(f64::total_cmp);
        Self { took, errors, whole }
    }

    /// Answers a second.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn rate(&self) -> f64 {
        self.took.len() as f64 / self.whole.as_secs_f64()
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn figures(&self) -> Vec<Figure> {
        let at = |percent| vec![percentile(&self.took, percent)];
        vec![
            Figure::higher("1/s", vec![self.rate()]),
            Figure::lower("p50 ms", at(50)),
            Figure::lower("p95 ms", at(95)),
            Figure::lower("p99 ms", at(99)),
            Figure::lower("max ms", at(100)),
            Figure::lower("errors", vec![self.errors as f64]),
        ]
    }
}

/// The nearest-rank percentile of sorted numbers; 0 of none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numbers_that_were_measured() {
        let numbers: Vec<f64> = (1..=200).map(f64::from).collect();
        let at = |percent, expected: f64| (percentile(&numbers, percent) - expected).abs() < 1e-9;
        assert!(at(50, 100.0) && at(95, 190.0) && at(99, 198.0) && at(100, 200.0));
        assert!((percentile(&[7.0], 95) - 7.0).abs() < 1e-9);
        assert!(percentile(&[], 95).abs() < 1e-9);
    }
}
