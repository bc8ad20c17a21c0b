//! Settings of `nexus-bench api`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Data, Output, ServerArgs, time};

/// Settings of `nexus-bench api`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Api {
    #[command(flatten)]
    pub(crate) data: Data,

    /// Time for each kind of request, 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    pub(crate) time: Duration,

    /// Numbers of clients that never pause, 1 to 64, one measurement for each
    #[arg(long, value_name = "NUMBERS", default_value = "1,4,16", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) clients: Vec<u16>,

    /// Requests a second at random times, 1 to 10000 [default: half the throughput of four clients]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rate: Option<u32>,

    /// Jobs that run during requests at random times, one measurement for each
    #[arg(long = "while", value_name = "JOBS", value_delimiter = ',')]
    pub(crate) meanwhile: Vec<Meanwhile>,

    /// Also measure the first searches with cold caches of PostgreSQL and the kernel
    #[arg(long)]
    pub(crate) cold: bool,

    /// Queries whose results are compared with the exact ones, 1 to 10000
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) queries: u32,

    #[command(flatten)]
    pub(crate) server: ServerArgs,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// A job that runs during requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Meanwhile {
    /// Backups, one after the other
    Backup,
    /// A purge of three in ten episodes
    Purge,
}
