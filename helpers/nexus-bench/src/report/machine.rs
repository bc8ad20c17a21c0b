//! The machine of a measurement.

use std::fmt;

use nexus_cli::progress::human_bytes;
use serde::{Deserialize, Serialize};

/// The machine of a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Its name in /proc/cpuinfo.
    pub(crate) processor: String,
    pub(crate) processors: usize,
    /// Bytes.
    pub(crate) memory: u64,
    pub(crate) kernel: String,
    /// The load average of a minute, before and after. Measurements on a busy machine mean little.
    pub(crate) load_before: f64,
    pub(crate) load_after: f64,
}

impl Machine {
    /// Describes this machine. Leaves empty what it cannot read.
    pub(crate) fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory: memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default()
                << 10,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load(),
            load_after: 0.0,
        }
    }
}

/// Returns the load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, processors, memory, kernel, load_before, load_after } = self;
        let memory = human_bytes(*memory);
        write!(
            f,
            "{processors} × {processor}, {memory}, Linux {kernel}, load {load_before} before and {load_after} after"
        )
    }
}
