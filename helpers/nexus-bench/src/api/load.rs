//! Requests at their times: an open loop, so that an API that hangs is not asked less.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nexus_core::failure::Result;
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::api::client::Client;
use crate::api::random::Random;

/// Times of one kind of request, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Times {
    /// What was asked.
    pub(crate) kind: &'static str,
    /// Answers with 200.
    pub(crate) answers: usize,
    /// Other answers, or none.
    pub(crate) errors: usize,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Answers a second.
    pub(crate) per_second: f64,
}

/// Asks `path` for `time`, `rate` times a second on average, at times that are random as those of many independent people
/// are; `body` makes the next request.
///
/// # Errors
/// When the first request fails; later failures are counted.
pub(crate) async fn measure(
    client: &Arc<Client>,
    kind: &'static str,
    path: &'static str,
    time: Duration,
    rate: u32,
    random: &mut Random,
    mut body: impl FnMut() -> Bytes,
) -> Result<Times> {
    // What is wrong altogether is said at once.
    client.post(path, body()).await?;
    let mut asking: JoinSet<(Duration, Result<Value>)> = JoinSet::new();
    let begun = Instant::now();
    let mut at = begun;
    loop {
        at += Duration::from_secs_f64(-(1.0 - random.unit()).ln() / f64::from(rate));
        if at >= begun + time {
            break;
        }
        let (client, body) = (Arc::clone(client), body());
        sleep_until(at).await;
        asking.spawn(async move {
            let answer = client.post(path, body).await;
            (at.elapsed(), answer)
        });
    }
    let (mut took, mut errors) = (Vec::new(), 0);
    while let Some(outcome) = asking.join_next().await {
        match outcome {
            Ok((time, Ok(_))) => took.push(time.as_secs_f64() * 1000.0),
            Ok((_, Err(failure))) => {
                log::warn!("{failure}");
                errors += 1;
            }
            Err(_) => errors += 1,
        }
    }
    Ok(Times::of(kind, took, errors, begun.elapsed()))
}

impl Times {
    fn of(kind: &'static str, mut took: Vec<f64>, errors: usize, whole: Duration) -> Self {
        took.sort_by(f64::total_cmp);
        // Some ten thousand at most.
        #[allow(clippy::cast_precision_loss)]
        let per_second = took.len() as f64 / whole.as_secs_f64();
        let at = |percent| percentile(&took, percent);
        Self {
            kind,
            answers: took.len(),
            errors,
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: at(100),
            per_second,
        }
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
