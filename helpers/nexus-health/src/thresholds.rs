//! The settings of all thresholds.

use clap::Args;

use crate::threshold::{self, Threshold};

/// Each holds the thresholds of a warning and of a critical level, with a colon between; `off` = no threshold
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Thresholds: warning:critical, or off")]
pub(crate) struct Thresholds {
    /// Processor in use, on average between two checks, ten checks in a row
    #[arg(long, env = "NEXUS_HEALTH_CPU", value_name = "LIMITS", default_value = "90%:98%", value_parser = threshold::percent)]
    pub(crate) cpu: Threshold,

    /// Memory in use: all but MemAvailable
    #[arg(long, env = "NEXUS_HEALTH_MEMORY", value_name = "LIMITS", default_value = "90%:95%", value_parser = threshold::percent)]
    pub(crate) memory: Threshold,

    /// Share of the last minutes in which work waited for processor, memory or disk
    #[arg(long, env = "NEXUS_HEALTH_PRESSURE", value_name = "LIMITS", default_value = "40%:80%", value_parser = threshold::percent)]
    pub(crate) pressure: Threshold,

    /// Temperature of the hottest part, in degrees Celsius
    #[arg(long, env = "NEXUS_HEALTH_TEMPERATURE", value_name = "LIMITS", default_value = "85:95", value_parser = threshold::count)]
    pub(crate) temperature: Threshold,

    /// Time for which the clock has not been synchronised
    #[arg(long, env = "NEXUS_HEALTH_CLOCK", value_name = "LIMITS", default_value = "2h:2d", value_parser = threshold::duration)]
    pub(crate) clock: Threshold,

    /// Bytes in use of a file system: database, backups, root
    #[arg(long, env = "NEXUS_HEALTH_DISK", value_name = "LIMITS", default_value = "85%:95%", value_parser = threshold::percent)]
    pub(crate) disk: Threshold,

    /// Files in use of a file system that has a limit
    #[arg(long, env = "NEXUS_HEALTH_INODES", value_name = "LIMITS", default_value = "85%:95%", value_parser = threshold::percent)]
    pub(crate) inodes: Threshold,

    /// Time until a file system is full, at the growth of the last weeks
    #[arg(long, env = "NEXUS_HEALTH_UNTIL_FULL", value_name = "LIMITS", default_value = "30d:7d", value_parser = threshold::duration)]
    pub(crate) until_full: Threshold,

    /// Time that PostgreSQL takes to answer the smallest query
    #[arg(long, env = "NEXUS_HEALTH_PG_ROUND_TRIP", value_name = "LIMITS", default_value = "500ms:3s", value_parser = threshold::duration)]
    pub(crate) pg_round_trip: Threshold,

    /// Connections in use, as a share of those that programs may use
    #[arg(long, env = "NEXUS_HEALTH_PG_CONNECTIONS", value_name = "LIMITS", default_value = "80%:95%", value_parser = threshold::percent)]
    pub(crate) pg_connections: Threshold,

    /// Age of the oldest transaction of a program
    #[arg(long, env = "NEXUS_HEALTH_PG_TRANSACTION", value_name = "LIMITS", default_value = "1h:6h", value_parser = threshold::duration)]
    pub(crate) pg_transaction: Threshold,

    /// Time for which a session has been waiting for a lock
    #[arg(long, env = "NEXUS_HEALTH_PG_LOCK", value_name = "LIMITS", default_value = "1m:10m", value_parser = threshold::duration)]
    pub(crate) pg_lock: Threshold,

    /// Size of the write-ahead log
    #[arg(long, env = "NEXUS_HEALTH_PG_WAL", value_name = "LIMITS", default_value = "4g:16g", value_parser = threshold::bytes)]
    pub(crate) pg_wal: Threshold,

    /// Share of dead rows in a table that has more than ten thousand of them
    #[arg(long, env = "NEXUS_HEALTH_PG_DEAD_ROWS", value_name = "LIMITS", default_value = "40%:80%", value_parser = threshold::percent)]
    pub(crate) pg_dead_rows: Threshold,

    /// Share of the transaction IDs used since the oldest row was frozen
    #[arg(long, env = "NEXUS_HEALTH_PG_WRAPAROUND", value_name = "LIMITS", default_value = "40%:75%", value_parser = threshold::percent)]
    pub(crate) pg_wraparound: Threshold,

    /// Share of NEXUS_REDIS_MAXMEMORY that Redis uses
    #[arg(long, env = "NEXUS_HEALTH_REDIS_MEMORY", value_name = "LIMITS", default_value = "85%:97%", value_parser = threshold::percent)]
    pub(crate) redis_memory: Threshold,

    /// Keys that Redis has evicted in the last hour because its memory was full
    #[arg(long, env = "NEXUS_HEALTH_REDIS_EVICTIONS", value_name = "LIMITS", default_value = "1:10000", value_parser = threshold::count)]
    pub(crate) redis_evictions: Threshold,

    /// Age of the newest complete backup set
    #[arg(long, env = "NEXUS_HEALTH_BACKUP_AGE", value_name = "LIMITS", default_value = "30h:3d", value_parser = threshold::duration)]
    pub(crate) backup_age: Threshold,

    /// Age of the newest backup set that a restore has proven
    #[arg(long, env = "NEXUS_HEALTH_PROOF_AGE", value_name = "LIMITS", default_value = "40d:70d", value_parser = threshold::duration)]
    pub(crate) proof_age: Threshold,

    /// Time for which a text has been waiting for its vector
    #[arg(long, env = "NEXUS_HEALTH_EMBEDDING", value_name = "LIMITS", default_value = "1h:1d", value_parser = threshold::duration)]
    pub(crate) embedding: Threshold,

    /// Times that Docker has restarted a container in the last hour
    #[arg(long, env = "NEXUS_HEALTH_RESTARTS", value_name = "LIMITS", default_value = "2:5", value_parser = threshold::count)]
    pub(crate) restarts: Threshold,
}
