//! Counters and times for `GET /metrics`, in the text format of OpenMetrics 1.0.0.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets, in seconds.
const BUCKETS: [(f64, &str); 12] = [
    (0.001, "0.001"),
    (0.0025, "0.0025"),
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.02, "0.02"),
    (0.03, "0.03"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (1.0, "1.0"),
    (2.5, "2.5"),
    (10.0, "10.0"),
];

/// The calls that store episodes.
const STORES: [&str; 3] = ["/memory/action", "/memory/batch", "/memory/import"];

/// All counters and times.
#[derive(Default)]
pub(crate) struct Metrics {
    routes: Mutex<BTreeMap<String, Times>>,
    responses: Mutex<BTreeMap<(String, u16), u64>>,
    /// Episodes stored without a vector that was wanted.
    pub(crate) without_vector: AtomicU64,
    /// Recent lists that came from Redis.
    pub(crate) cache_hits: AtomicU64,
    /// Recent lists that were not in Redis.
    pub(crate) cache_misses: AtomicU64,
    /// Requests in progress.
    pub(crate) in_flight: AtomicU64,
    /// Requests from other machines, admitted or refused.
    pub(crate) remote: AtomicU64,
    /// Connections refused because there were too many.
    pub(crate) turned_away: AtomicU64,
    /// Idle connections closed to make room for new ones.
    pub(crate) closed_for_others: AtomicU64,
    /// Stores that failed since the last that succeeded.
    failed_stores: AtomicU64,
}

#[derive(Default)]
struct Times {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

impl Metrics {
    /// Counts one response.
    pub(crate) fn observe(&self, route: &str, status: u16, took: Duration) {
        match status {
            200..=299 if STORES.contains(&route) => self.failed_stores.store(0, Ordering::Relaxed),
            500..=599 if STORES.contains(&route) => Self::count(&self.failed_stores),
            _ => {}
        }
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let times = routes.entry(route.to_owned()).or_default();
        times.count += 1;
        times.sum += took;
        let seconds = took.as_secs_f64();
        for (count, (end, _)) in times.buckets.iter_mut().zip(BUCKETS) {
            *count += u64::from(seconds <= end);
        }
        drop(routes);
        let mut responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        *responses.entry((route.to_owned(), status)).or_default() += 1;
    }

    /// Adds one to `counter`.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns all metrics as text. `connections` are the open ones to PostgreSQL, and how many of
    /// them are in use.
    pub(crate) fn text(&self, connections: (usize, usize)) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text, connections);
        text
    }

    fn write(&self, text: &mut String, connections: (usize, usize)) -> std::fmt::Result {
        writeln!(text, "# TYPE nexus_api_request_seconds histogram")?;
        writeln!(text, "# UNIT nexus_api_request_seconds seconds")?;
        writeln!(text, "# HELP nexus_api_request_seconds Time from a request's header to its answer.")?;
        for (route, times) in &*self.routes.lock().unwrap_or_else(PoisonError::into_inner) {
            for (count, (_, end)) in times.buckets.iter().zip(BUCKETS) {
                writeln!(text, "nexus_api_request_seconds_bucket{{route=\"{route}\",le=\"{end}\"}} {count}")?;
            }
            let (count, sum) = (times.count, times.sum.as_secs_f64());
            writeln!(text, "nexus_api_request_seconds_bucket{{route=\"{route}\",le=\"+Inf\"}} {count}")?;
            writeln!(text, "nexus_api_request_seconds_sum{{route=\"{route}\"}} {sum}")?;
            writeln!(text, "nexus_api_request_seconds_count{{route=\"{route}\"}} {count}")?;
        }
        writeln!(text, "# TYPE nexus_api_requests counter")?;
        writeln!(text, "# HELP nexus_api_requests Answers by status.")?;
        for ((route, status), count) in &*self.responses.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(text, "nexus_api_requests_total{{route=\"{route}\",status=\"{status}\"}} {count}")?;
        }
        for (name, kind, help, value) in [
            ("without_vector", "counter", "Episodes stored before their vector came.", &self.without_vector),
            ("cache_hits", "counter", "Recent lists that came from Redis.", &self.cache_hits),
            ("cache_misses", "counter", "Recent lists that did not.", &self.cache_misses),
            ("outside", "counter", "Requests from other machines.", &self.remote),
            ("turned_away", "counter", "Connections refused because there were too many.", &self.turned_away),
            (
                "closed_for_others",
                "counter",
                "Idle connections closed to make room for new ones.",
                &self.closed_for_others,
            ),
            ("in_flight", "gauge", "Requests at work.", &self.in_flight),
            (
                "failed_stores",
                "gauge",
                "Stores that failed since the last that succeeded.",
                &self.failed_stores,
            ),
        ] {
            let value = value.load(Ordering::Relaxed);
            let suffix = if kind == "counter" { "_total" } else { "" };
            writeln!(text, "# TYPE nexus_api_{name} {kind}\n# HELP nexus_api_{name} {help}")?;
            writeln!(text, "nexus_api_{name}{suffix} {value}")?;
        }
        writeln!(text, "# TYPE nexus_api_connections gauge")?;
        writeln!(text, "# HELP nexus_api_connections Connections to PostgreSQL.")?;
        writeln!(text, "nexus_api_connections{{state=\"open\"}} {}", connections.0)?;
        writeln!(text, "nexus_api_connections{{state=\"in_use\"}} {}", connections.1)?;
        writeln!(text, "# EOF")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let metrics = Metrics::default();
        metrics.observe("/memory/search", 200, Duration::from_millis(4));
        metrics.observe("/memory/search", 503, Duration::from_secs(60));
        let text = metrics.text((2, 1));
        for line in [
            "nexus_api_request_seconds_bucket{route=\"/memory/search\",le=\"0.0025\"} 0",
            "nexus_api_request_seconds_bucket{route=\"/memory/search\",le=\"0.005\"} 1",
            "nexus_api_request_seconds_bucket{route=\"/memory/search\",le=\"10.0\"} 1",
            "nexus_api_request_seconds_bucket{route=\"/memory/search\",le=\"+Inf\"} 2",
            "nexus_api_request_seconds_count{route=\"/memory/search\"} 2",
            "nexus_api_requests_total{route=\"/memory/search\",status=\"503\"} 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn failed_stores_are_counted_until_one_succeeds() {
        let metrics = Metrics::default();
        let says =
            |count: u64| metrics.text((0, 0)).contains(&format!("\nnexus_api_failed_stores {count}\n"));
        assert!(says(0));
        for (route, status) in [
            ("/memory/action", 500),
            ("/memory/import", 503),
            ("/memory/search", 500),
            ("/memory/action", 422),
        ] {
            metrics.observe(route, status, Duration::ZERO);
        }
        assert!(says(2));
        metrics.observe("/memory/search", 200, Duration::ZERO);
        assert!(says(2));
        metrics.observe("/memory/batch", 200, Duration::ZERO);
        assert!(says(0));
    }
}
