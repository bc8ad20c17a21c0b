//! What may be asked of `nexus-docker`, and how it is said on the socket.
//!
//! The asker sends one line of JSON, then, for a request that takes input, raw bytes until it shuts
//! down its writing half. The answer is a row of frames: one byte kind, four bytes length (big-endian),
//! payload.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The longest request line, in bytes: some 30,000 table names.
pub const LONGEST_REQUEST: usize = 4 << 20;

/// The longest payload of a frame, in bytes.
pub const LONGEST_FRAME: usize = 1 << 20;

/// Hexadecimal digits in the password of a throwaway server.
pub const SCRATCH_PASSWORD: usize = 64;

/// How long pg_dump waits for a lock (`--lock-wait-timeout`), in milliseconds.
pub const LOCK_WAIT: u32 = 10_000;

/// Options for the sessions of PostgreSQL's tools (`PGOPTIONS`). A killed tool leaves a server process that may be deep in a
/// statement (LOCK, COPY, CREATE INDEX) and would notice only at its next read or write; with the check interval it checks
/// every second whether its client is still there (PostgreSQL 14 and later, on Linux). The options also switch off timeouts
/// that the owner has set; the tools themselves switch off `transaction_timeout`, which servers before 17 refuse.
pub const TOOL_OPTIONS: &str = "-c client_connection_check_interval=1s -c statement_timeout=0 \
    -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c lock_timeout=2min";

/// The closed list of what may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// `pg_dump -Fc -Z0` of `database` in the exported `snapshot`, without the rows of some tables.
    Dump {
        /// Name of the database.
        database: String,
        /// As `pg_export_snapshot()` gave it.
        snapshot: String,
        /// Tables whose rows are left out.
        exclude_table_data: Vec<TableName>,
    },
    /// `pg_dumpall --roles-only --no-role-passwords`.
    DumpRoles {},
    /// `pg_restore` of one section of the custom-format archive that follows as input.
    Restore {
        /// Name of the database to restore into; it exists.
        database: String,
        /// Which part of the archive.
        section: Section,
        /// Which server.
        #[serde(default)]
        server: Stand,
        /// Whether everything goes to the database's default tablespace.
        #[serde(default)]
        without_tablespaces: bool,
    },
    /// `pg_restore` of the last section of the custom-format archive that follows as input, into no database: its SQL is the
    /// answer, for one who runs it otherwise.
    PostDataScript {},
    /// Puts the RDB file that follows as input in the place of Redis's data, keeping the old beside it.
    RedisRestore {},
    /// One JSON line a container of the stack.
    Containers {},
    /// Restarts the container of a service.
    Restart {
        /// Which one.
        service: Service,
    },
    /// The same for one that does not answer: it is given ten seconds to stop in order.
    RestartHung {
        /// Which one.
        service: Service,
    },
    /// One JSON line about Docker itself ([`Daemon`]).
    Daemon {},
    /// Starts a throwaway `PostgreSQL` from the living one's image, says one line of JSON ([`Scratch`]) once it answers,
    /// and removes it when the input ends. The input is the superuser's password, [`SCRATCH_PASSWORD`] digits, and a line
    /// feed. Exits with 73 when the server takes too much of the disk.
    ScratchUp {
        /// Memory limit, in MiB.
        memory_mib: u32,
    },
    /// The same with Redis; the RDB file it starts from is the `bytes` bytes after the password.
    ScratchRedis {
        /// Length of the RDB file.
        bytes: u64,
        /// Memory limit, in MiB.
        memory_mib: u32,
    },
    /// Removes what throwaway servers were left behind. Exit status 75 when one is in use.
    ScratchDown {},
}

/// What is said of a throwaway server once it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// The image as the stack's settings name it.
    pub image: String,
    /// Its digest: of the image's configuration, which names the digests of all its layers.
    pub image_id: String,
    /// Digests under which registries know it; none for one that was built or loaded here.
    pub repository_digests: Vec<String>,
    /// Bytes that the server may take on the disk of its volume: the free space less the reserve.
    pub free: u64,
}

/// What is said of Docker itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Its version.
    pub version: String,
    /// What it warns of, such as an API that is open on the network.
    pub warnings: Vec<String>,
    /// Of the images that the stack's containers run: their names, and the digests they stand for now.
    pub images: BTreeMap<String, String>,
    /// How many containers and volumes throwaway servers have left or have in use.
    pub scratch: usize,
    /// Its directory (`data-root`), below which the volumes are; empty from an earlier nexus-docker.
    #[serde(default)]
    pub root: PathBuf,
}

impl Request {
    /// Whether bytes follow the request line.
    pub fn takes_input(&self) -> bool {
        matches!(
            self,
            Self::Restore { .. }
                | Self::PostDataScript {}
                | Self::RedisRestore {}
                | Self::ScratchUp { .. }
                | Self::ScratchRedis { .. }
        )
    }
}

/// A table, by the names in the catalog (not quoted).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableName {
    /// `pg_namespace.nspname`.
    pub schema: String,
    /// `pg_class.relname`.
    pub table: String,
}

/// The sections of a `pg_dump` archive (manual of `pg_restore`, `--section`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Types, tables, functions: what rows need.
    PreData,
    /// Large objects, sequence values, and rows that were not left out.
    Data,
    /// Indexes, constraints, triggers, policies, materialized views.
    PostData,
}

impl Section {
    /// As `--section=` wants it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreData => "pre-data",
            Self::Data => "data",
            Self::PostData => "post-data",
        }
    }
}

/// The servers of `PostgreSQL` that a set may be restored into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stand {
    /// The one of the stack.
    #[default]
    Living,
    /// The throwaway one of [`Request::ScratchUp`].
    Scratch,
}

/// The services of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// `PostgreSQL` with pgvector.
    Postgres,
    /// Redis.
    Redis,
}

impl Service {
    /// As the compose file calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// One frame of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Some of the command's standard output.
    Stdout(Vec<u8>),
    /// Some of its standard error.
    Stderr(Vec<u8>),
    /// It ended with this status; nothing follows.
    Exit(i32),
    /// It was not run, and why; nothing follows.
    Refused(String),
}

impl Frame {
    /// Writes the frame.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Stdout(bytes) => write_frame(out, b'o', bytes),
            Self::Stderr(bytes) => write_frame(out, b'e', bytes),
            Self::Exit(status) => write_frame(out, b'x', &status.to_be_bytes()),
            Self::Refused(why) => write_frame(out, b'r', why.as_bytes()),
        }
    }

    /// Reads the next frame; `None` when the other side closed between two frames.
    ///
    /// # Errors
    /// `InvalidData` for anything that is not a frame, `UnexpectedEof` inside one.
    pub fn read_from(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        if input.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LONGEST_FRAME {
            return Err(invalid(format!("a frame of {length} bytes")));
        }
        let mut payload = vec![0; length];
        input.read_exact(&mut payload)?;
        match kind[0] {
            b'o' => Ok(Some(Self::Stdout(payload))),
            b'e' => Ok(Some(Self::Stderr(payload))),
            b'x' => match payload.as_slice().try_into() {
                Ok(status) => Ok(Some(Self::Exit(i32::from_be_bytes(status)))),
                Err(_) => Err(invalid(format!("an exit status of {length} bytes"))),
            },
            b'r' => Ok(Some(Self::Refused(String::from_utf8_lossy(&payload).into_owned()))),
            other => Err(invalid(format!("a frame of unknown kind {other:#04x}"))),
        }
    }
}

/// Writes one frame of `kind` without copying its payload.
pub fn write_frame(out: &mut impl Write, kind: u8, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(|_| invalid("a frame over 4 GiB".to_owned()))?;
    out.write_all(&[kind])?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(payload)
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
