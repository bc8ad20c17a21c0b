//! Sends requests in two ways. A closed loop, in which each client waits for its response, measures
//! the highest throughput. An open loop, in which requests start at random times, keeps the load on
//! a slow API and counts the time that requests wait.

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

/// Requests of one kind.
pub(super) struct Requests {
    pub(super) path: &'static str,
    /// Sent one after the other, and then again from the first.
    pub(super) bodies: Vec<Bytes>,
}

/// The results of a loop. `took` is in milliseconds.
pub(super) struct Times {
    took: Vec<f64>,
    errors: usize,
    whole: Duration,
}

impl Requests {
    fn body(&self, number: usize) -> Bytes {
        self.bodies.get(number % self.bodies.len().max(1)).cloned().unwrap_or_default()
    }

    /// Sends requests from `clients` for `time`, each after the response to the previous one.
    ///
    /// # Errors
    /// If the first request fails. Later failures are counted.
    pub(super) async fn closed(
        self: &Arc<Self>,
        client: &Arc<Client>,
        clients: u16,
        time: Duration,
    ) -> Result<Times> {
        client.post(self.path, self.body(0)).await?;
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for number in 0..usize::from(clients) {
            let (client, requests) = (Arc::clone(client), Arc::clone(self));
            tasks.spawn(async move {
                let mut responses = Vec::new();
                // Each client begins at another request.
                let mut next = number * requests.bodies.len() / usize::from(clients);
                while began.elapsed() < time {
                    let sent = Instant::now();
                    let response = client.post(requests.path, requests.body(next)).await;
                    responses.push((sent.elapsed(), response));
                    next += 1;
                }
                responses
            });
        }
        Ok(Times::of(tasks.join_all().await.into_iter().flatten().collect(), began.elapsed()))
    }

    /// Sends `rate` requests a second on average for `time`, over `clients` connections. Their
    /// times are a Poisson process. Each is timed from its planned start.
    ///
    /// # Errors
    /// Same as [`Requests::closed`].
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
        let mut tasks = JoinSet::new();
        let began = Instant::now();
        let mut at = began;
        for number in 0.. {
            at += Duration::from_secs_f64(-(1.0 - random.unit()).ln() / rate);
            if at >= began + time {
                break;
            }
            sleep_until(at).await;
            let (client, requests, free) = (Arc::clone(client), Arc::clone(self), Arc::clone(&free));
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _turn = free.acquire().await;
                let response = client.post(requests.path, requests.body(number)).await;
                (at.elapsed(), response)
            });
        }
        Ok(Times::of(tasks.join_all().await, began.elapsed()))
    }
}

impl Times {
    pub(super) fn of(responses: Vec<(Duration, Result<Value>)>, whole: Duration) -> Self {
        let (mut took, mut errors) = (Vec::new(), 0);
        for (time, response) in responses {
            match response {
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

    /// Returns the responses per second.
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

/// Returns the nearest-rank percentile of sorted numbers; 0 if there are none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_numbers() {
        let numbers: Vec<f64> = (1..=200).map(f64::from).collect();
        let at = |percent, expected: f64| (percentile(&numbers, percent) - expected).abs() < 1e-9;
        assert!(at(50, 100.0) && at(95, 190.0) && at(99, 198.0) && at(100, 200.0));
        assert!((percentile(&[7.0], 95) - 7.0).abs() < 1e-9);
        assert!(percentile(&[], 95).abs() < 1e-9);
    }
}
