//! The requests that `nexus-docker` carries out, and what it returns.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The longest request line, in bytes: some 30,000 table names.
pub const LONGEST_REQUEST: usize = 4 << 20;

/// The number of hexadecimal digits in the password of a throwaway server.
pub const SCRATCH_PASSWORD: usize = 64;

/// How long pg_dump waits for a lock (`--lock-wait-timeout`), in milliseconds.
pub const LOCK_WAIT: u32 = 10_000;

/// Options for the sessions of PostgreSQL's tools (`PGOPTIONS`). A killed tool leaves a server
/// process that may be in a long statement (LOCK, COPY, CREATE INDEX) and would notice only at its
/// next read or write; with the check interval it checks every second whether its client is still
/// connected (PostgreSQL 14 and later, on Linux). The options also disable timeouts that the owner
/// has set; the tools themselves disable `transaction_timeout`, which servers before 17 reject.
pub const TOOL_OPTIONS: &str = "-c client_connection_check_interval=1s -c statement_timeout=0 \
    -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c lock_timeout=2min";

/// A request. This list is closed: each entry is a right over the whole machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Runs `pg_dump -Fc -Z0` in an exported snapshot, without the rows of some tables.
    Dump {
        /// Name of the database.
        database: String,
        /// The snapshot's identifier, from `pg_export_snapshot()`.
        snapshot: String,
        /// The tables whose rows are excluded.
        exclude_table_data: Vec<TableName>,
    },
    /// Runs `pg_dumpall --roles-only --no-role-passwords`.
    DumpRoles {},
    /// Runs `pg_restore` for one section of the custom-format archive that follows as input.
    Restore {
        /// The database to restore into. It must exist.
        database: String,
        /// The section to restore.
        section: Section,
        /// The server to restore into.
        #[serde(default)]
        server: Server,
        /// Whether everything is restored into the database's default tablespace.
        #[serde(default)]
        without_tablespaces: bool,
    },
    /// Runs `pg_restore` for the post-data section of the custom-format archive that follows as
    /// input, and returns the SQL instead of executing it.
    PostDataScript {
        /// The server in whose container it runs.
        #[serde(default)]
        server: Server,
    },
    /// Replaces Redis's data with the RDB file that follows as input, and keeps the old data in
    /// another directory.
    RedisRestore {},
    /// Describes the stack's containers, one line of JSON each.
    Containers {},
    /// Restarts the container of a service.
    Restart {
        /// The service to restart.
        service: Service,
    },
    /// Restarts the container of a service that does not respond: Docker kills it if it has not
    /// stopped after ten seconds.
    RestartHung {
        /// The service to restart.
        service: Service,
    },
    /// Describes Docker itself in one line of JSON ([`Daemon`]).
    Daemon {},
    /// Runs a throwaway PostgreSQL from the live server's image until the input ends, then removes
    /// it. Once the server is ready, nexus-docker prints one line of JSON ([`Scratch`]). The input
    /// is the superuser's password ([`SCRATCH_PASSWORD`] digits) and a line feed. Exits with 73 if
    /// the server takes too much disk space.
    ScratchUp {
        /// The memory limit, in MiB.
        memory_mib: u32,
    },
    /// Like [`Request::ScratchUp`], with Redis. The RDB file that it loads is the `bytes` bytes
    /// after the password.
    ScratchRedis {
        /// The length of the RDB file.
        bytes: u64,
        /// The memory limit, in MiB.
        memory_mib: u32,
    },
    /// Removes leftover throwaway servers. Exits with 75 while one is in use.
    ScratchDown {},
}

/// A throwaway server that is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// The image's name in the stack's settings.
    pub image: String,
    /// The digest of the image's configuration, which contains the digests of all its layers.
    pub image_id: String,
    /// The image's digests in registries; empty for an image that was built or loaded here.
    pub repository_digests: Vec<String>,
    /// How many bytes the server may take on its volume's disk: the free space less the reserve.
    pub free: u64,
}

/// The Docker daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Its version.
    pub version: String,
    /// Its warnings, such as an API that is open on the network.
    pub warnings: Vec<String>,
    /// The names of the images that the stack's containers run, and the digests that the names
    /// refer to now.
    pub images: BTreeMap<String, String>,
    /// The number of containers and volumes of throwaway servers, leftover or in use.
    pub scratch: usize,
    /// Its data directory (`data-root`), which contains the volumes; empty from earlier versions of
    /// nexus-docker.
    #[serde(default)]
    pub root: PathBuf,
}

impl Request {
    /// Returns whether input follows the request line.
    pub fn takes_input(&self) -> bool {
        match self {
            Self::Restore { .. }
            | Self::PostDataScript { .. }
            | Self::RedisRestore {}
            | Self::ScratchUp { .. }
            | Self::ScratchRedis { .. } => true,
            Self::Dump { .. }
            | Self::DumpRoles {}
            | Self::Containers {}
            | Self::Restart { .. }
            | Self::RestartHung { .. }
            | Self::Daemon {}
            | Self::ScratchDown {} => false,
        }
    }

    /// Returns the request's name on the wire.
    ///
    /// # Errors
    /// When it cannot be serialized.
    pub fn name(&self) -> serde_json::Result<String> {
        #[derive(Deserialize)]
        struct Tag {
            request: String,
        }
        let tag: Tag = serde_json::from_value(serde_json::to_value(self)?)?;
        Ok(tag.request)
    }
}

/// Describes the request for failures.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dump { database, .. } => write!(f, "dumping database {database} (pg_dump)"),
            Self::DumpRoles {} => f.write_str("dumping the roles (pg_dumpall)"),
            Self::Restore { database, section, server: _, without_tablespaces: _ } => {
                write!(f, "restoring {} into database {database} (pg_restore)", section.as_str())
            }
            Self::PostDataScript { .. } => f.write_str("reading post-data (pg_restore)"),
            Self::RedisRestore {} => f.write_str("restoring Redis"),
            Self::Containers {} => f.write_str("listing the containers"),
            Self::Restart { service } | Self::RestartHung { service } => {
                write!(f, "restarting {}", service.as_str())
            }
            Self::Daemon {} => f.write_str("querying the Docker daemon"),
            Self::ScratchUp { .. } => f.write_str("running a throwaway PostgreSQL"),
            Self::ScratchRedis { .. } => f.write_str("running a throwaway Redis"),
            Self::ScratchDown {} => f.write_str("removing throwaway servers"),
        }
    }
}

/// A table, by its names in the catalog (not quoted).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableName {
    /// `pg_namespace.nspname`.
    pub schema: String,
    /// `pg_class.relname`.
    pub table: String,
}

/// A section of a `pg_dump` archive (`--section` in the manual of `pg_restore`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Types, tables, functions: all that rows depend on.
    PreData,
    /// Large objects, sequence values, and rows that were not excluded.
    Data,
    /// Indexes, constraints, triggers, policies, materialized views.
    PostData,
}

impl Section {
    /// Returns the value of `--section`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreData => "pre-data",
            Self::Data => "data",
            Self::PostData => "post-data",
        }
    }
}

/// A PostgreSQL server to restore into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Server {
    /// The stack's server. Its name on the wire is older than its name here, and an upgrade runs
    /// programs of both versions.
    #[default]
    #[serde(rename = "living")]
    Live,
    /// The throwaway server of [`Request::ScratchUp`].
    Scratch,
}

/// A service of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// PostgreSQL with pgvector.
    Postgres,
    /// Redis.
    Redis,
}

impl Service {
    /// Returns the service's name in the compose file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }

    /// Returns the name of the service's container. Docker gives a name to one container at a time;
    /// labels, which images bring along, prove nothing.
    pub fn container(self) -> &'static str {
        match self {
            Self::Postgres => "nexus-postgres",
            Self::Redis => "nexus-redis",
        }
    }
}

#[cfg(test)]
mod tests;
