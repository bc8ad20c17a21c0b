//! One snapshot for all of a set: a repeatable-read transaction that exports it and stays open.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nexus_core::failure::{Exit, Failure, Result};
use nexus_core::postgres::control;
use nexus_core::postgres::failure::from_client;
use nexus_core::postgres::objects;
use nexus_core::postgres::server::Server;
use nexus_core::set::manifest::{Postgres, SequenceState};
use nexus_core::set::objects::Objects;
use tokio_postgres::Client;

use crate::catalog::tables::TablePlan;
use crate::catalog::{database, role, tables};

/// What the jobs' sessions are called in pg_stat_activity.
pub(crate) const APPLICATION: &str = "nexus-backup";

/// The oldest server that is supported, as `server_version_num`.
const OLDEST: u32 = 150_000;

/// An open snapshot and what the database holds in it.
pub(crate) struct Snapshot {
    client: Client,
    pub(crate) taken: Timestamp,
    pub(crate) postgres: Postgres,
    pub(crate) objects: Objects,
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) sequences: BTreeMap<String, SequenceState>,
    pub(crate) large_objects: u64,
}

impl Snapshot {
    /// Connects, refuses what cannot be backed up whole, and opens the snapshot.
    ///
    /// # Errors
    /// As the parts of [`crate::catalog`]; Unavailable (69) when the server does not answer.
    pub(crate) async fn open(server: &Server) -> Result<Self> {
        let database = server.settings.database.clone();
        let client = control::connect(server, &database, APPLICATION).await?;
        let failed = |e| from_client("opening the snapshot", &e);
        role::refuse_partial_sight(&client).await?;

        client
            .batch_execute(
                "SET lock_timeout = '2min'; SET row_security = off; \
                 BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )
            .await
            .map_err(failed)?;
        let taken = Timestamp::now();
        let row = client
            .query_one(
                "SELECT pg_catalog.pg_export_snapshot(), pg_catalog.current_setting('server_version'), \
                 pg_catalog.current_setting('server_version_num')::integer",
                &[],
            )
            .await
            .map_err(failed)?;
        let version = u32::try_from(row.get::<_, i32>(2)).unwrap_or(0);
        if version < OLDEST {
            return Err(Failure::new(Exit::Unavailable, "opening the snapshot")
                .because(format!("the server is PostgreSQL {}", row.get::<_, String>(1)))
                .advise("NEXUS needs PostgreSQL 15 or newer"));
        }
        let postgres = Postgres {
            server_version: row.get(1),
            server_version_num: version,
            database,
            properties: database::properties(&client).await?,
            extensions: database::extensions(&client).await?,
            snapshot: row.get(0),
        };
        Ok(Self {
            taken,
            postgres,
            objects: objects::list(&client).await?,
            tables: tables::read(&client).await?,
            sequences: database::sequences(&client).await?,
            large_objects: database::large_object_count(&client).await?,
            client,
        })
    }

    /// Bytes of all tables in the database.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.tables.iter().map(|t| t.stored_bytes).sum()
    }

    /// Where the sequences are by now; then the snapshot is closed.
    ///
    /// # Errors
    /// The server's; also when it has closed the connection since.
    pub(crate) async fn close(self) -> Result<BTreeMap<String, SequenceState>> {
        let now = database::sequences(&self.client).await?;
        self.client.batch_execute("COMMIT").await.map_err(|e| from_client("closing the snapshot", &e))?;
        Ok(now)
    }
}
