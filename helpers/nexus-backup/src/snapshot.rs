//! The snapshot of a set: a repeatable-read transaction that exports it and stays open.
//!
//! nexus-backup locks all tables before it takes the snapshot, because a snapshot does not cover everything: see [`locks`].
//! A second session outside the snapshot lists the tables first, checks afterwards that they are unchanged, and watches the
//! locks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nexus_backup_set::manifest::{BareNames, LeftOut, Postgres, SequenceState};
use nexus_cli::failure::{Exit, Failure, Result};
use nexus_postgres::failure::from_client;
use nexus_postgres::objects::Objects;
use nexus_postgres::server::Server;
use nexus_postgres::{control, objects, visibility};
use tokio_postgres::{Client, Row};

use crate::catalog::locks::{self, Refusal};
use crate::catalog::tables::TablePlan;
use crate::catalog::{bare_names, database, definitions, left_out, tables};

/// The application_name of this program's sessions.
pub(crate) const APPLICATION: &str = "nexus-backup";

/// The oldest supported server, as `server_version_num`.
const OLDEST: u32 = 150_000;

/// How often to try again at once if a table is altered while the snapshot is taken.
const TRIES: u32 = 10;

/// Reads the server's version, this session's server process, and how many locks all sessions together can hold.
const SERVER: &str = "\
SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_setting('server_version_num')::integer, \
  pg_catalog.pg_backend_pid(), pg_catalog.current_setting('max_locks_per_transaction')::bigint \
    * (pg_catalog.current_setting('max_connections')::bigint \
      + pg_catalog.current_setting('max_prepared_transactions')::bigint)";

/// An open snapshot and the contents of the database in it.
pub(crate) struct Snapshot {
    client: Client,
    /// A session outside the snapshot: it sees what is committed now.
    pub(crate) observer: Client,
    /// The server process that holds the snapshot and the locks.
    pub(crate) pid: i32,
    /// How many locks the server can hold.
    pub(crate) lock_capacity: u64,
    pub(crate) taken: Timestamp,
    pub(crate) postgres: Postgres,
    pub(crate) objects: Objects,
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) sequences: BTreeMap<String, SequenceState>,
    pub(crate) large_objects: u64,
    pub(crate) left_out: LeftOut,
    pub(crate) bare_names: Vec<BareNames>,
}

/// The database's contents, read inside the snapshot.
struct Contents {
    taken: Timestamp,
    postgres: Postgres,
    objects: Objects,
    tables: Vec<TablePlan>,
    sequences: BTreeMap<String, SequenceState>,
    large_objects: u64,
    bare_names: Vec<BareNames>,
}

impl Snapshot {
    /// Connects, refuses a database that cannot be backed up completely, locks all tables and opens the snapshot.
    ///
    /// # Errors
    /// TryLater (75) if other sessions hold a lock for too long or keep altering tables; Permission (77) if the role may not
    /// see every row; Unavailable (69) if the server does not respond or is too old.
    pub(crate) async fn open(server: &Server) -> Result<Self> {
        let database = &server.settings.database;
        let observer = control::connect(server, database, APPLICATION).await?;
        visibility::require(&observer, "its dump could silently lack rows").await?;
        let client = control::connect(server, database, APPLICATION).await?;
        let failed = |e| from_client("opening the snapshot", &e);
        let facts = client.query_one(SERVER, &[]).await.map_err(failed)?;
        let version = supported(&facts)?;
        client
            .batch_execute(&format!("SET lock_timeout = '{}'; SET row_security = off", locks::LOCK_TIMEOUT))
            .await
            .map_err(failed)?;
        let mut tries = 1;
        let contents = loop {
            match Contents::read(&client, &observer, server, &facts, version).await {
                Ok(contents) => break contents,
                Err(Refusal::Altered(_)) if tries < TRIES => {
                    client.batch_execute("ROLLBACK").await.map_err(failed)?;
                    tries += 1;
                }
                Err(Refusal::Altered(failure) | Refusal::Other(failure)) => return Err(failure),
            }
        };
        let left_out = left_out::read(&observer, server).await?;
        let Contents { taken, postgres, objects, tables, sequences, large_objects, bare_names } = contents;
        let (pid, lock_capacity) = (facts.get(2), u64::try_from(facts.get::<_, i64>(3)).unwrap_or(0));
        Ok(Self {
            client,
            observer,
            pid,
            lock_capacity,
            taken,
            postgres,
            objects,
            tables,
            sequences,
            large_objects,
            left_out,
            bare_names,
        })
    }

    /// Returns the size of all tables in the database, in bytes.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.tables.iter().map(|t| t.stored_bytes).sum()
    }

    /// Fails if functions, types, views or the like that the snapshot sees have changed since.
    ///
    /// # Errors
    /// Those of [`definitions::require_unchanged`].
    pub(crate) async fn require_same_definitions(&self) -> Result<()> {
        definitions::require_unchanged(&self.client, &self.observer).await
    }

    /// Reads the sequences' present values and closes the snapshot.
    pub(crate) async fn close(self) -> Result<BTreeMap<String, SequenceState>> {
        let now = database::sequences(&self.client).await?;
        self.client.batch_execute("COMMIT").await.map_err(|e| from_client("closing the snapshot", &e))?;
        Ok(now)
    }
}

impl Contents {
    /// Reads the contents. The order makes them one instant: first the locks, then the snapshot, then everything else.
    async fn read(
        client: &Client,
        observer: &Client,
        server: &Server,
        facts: &Row,
        version: u32,
    ) -> std::result::Result<Self, Refusal> {
        let failed = |e| from_client("opening the snapshot", &e);
        let known = locks::list(observer).await?;
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed)?;
        locks::take(client, observer, known.values()).await?;
        let taken = Timestamp::now();
        let row = client.query_one("SELECT pg_catalog.pg_export_snapshot()", &[]).await.map_err(failed)?;
        locks::lock_new_and_check(client, observer).await?;
        let postgres = Postgres {
            server_version: facts.get(0),
            server_version_num: version,
            database: server.settings.database.clone(),
            properties: database::properties(client).await?,
            extensions: database::extensions(client).await?,
            snapshot: row.get(0),
        };
        Ok(Self {
            taken,
            postgres,
            objects: objects::list(client).await?,
            tables: tables::read(client).await?,
            sequences: database::sequences(client).await?,
            large_objects: database::large_object_count(client).await?,
            bare_names: bare_names::read(client).await?,
        })
    }
}

/// Returns the server's version if it is supported.
fn supported(facts: &Row) -> Result<u32> {
    let version = u32::try_from(facts.get::<_, i32>(1)).unwrap_or(0);
    if version >= OLDEST {
        return Ok(version);
    }
    Err(Failure::new(Exit::Unavailable, "opening the snapshot")
        .because(format!("the server is PostgreSQL {}", facts.get::<_, String>(0)))
        .advise("NEXUS needs PostgreSQL 15 or newer"))
}
