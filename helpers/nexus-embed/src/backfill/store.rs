//! The queue and the episodes, as far as the role nexus_embed may access them.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_embed_client::protocol::Vectors;
use nexus_postgres::control;
use nexus_postgres::failure::{from_client, is_busy};
use nexus_postgres::server::Server;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use crate::backfill::MOST_ATTEMPTS;
use crate::model::tokens::MOST_CHARACTERS;

/// Rows per read.
const AT_ONCE: i64 = 32;

/// An episode that waits for its vector.
pub(super) struct Waiting {
    /// The id of the episode.
    pub(super) episode: String,
    /// The part of its content that counts.
    pub(super) text: String,
    /// SHA-256 of the whole content.
    digest: Vec<u8>,
}

/// A session of PostgreSQL.
pub(super) struct Store {
    client: Client,
}

impl Store {
    pub(super) async fn open(server: &Server, application: &'static str) -> Result<Self> {
        let client = control::connect(server, &server.settings.database, application).await?;
        // If another session holds a row, leaves that row for the next run.
        client
            .batch_execute("SET lock_timeout = '10s'; SET statement_timeout = '5min'")
            .await
            .map_err(|error| from_client("preparing the session", &error))?;
        Ok(Self { client })
    }

    /// Takes the lock that allows one run at a time. The session holds it.
    pub(super) async fn lock(&self) -> Result<()> {
        let sql = "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('nexus-embed --backfill', 0))";
        let rows = self.rows("taking the lock", sql, &[]).await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            return Ok(());
        }
        Err(Failure::new(Exit::TryLater, "filling in vectors")
            .because("another run is in progress")
            .advise("See: systemctl status nexus-embed-backfill"))
    }

    async fn rows(&self, doing: &str, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.client.query(sql, values).await.map_err(|error| failed(doing, &error))
    }

    async fn number(&self, sql: &str) -> Result<u64> {
        let rows = self.rows("reading the queue", sql, &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0)).cast_unsigned())
    }

    /// Returns the number of rows that are due.
    pub(super) async fn due(&self) -> Result<u64> {
        self.number("SELECT count(*) FROM nexus_memory.embedding_queue WHERE state = 'waiting' AND next_try_at <= now()")
            .await
    }

    /// Returns the number of rows that wait.
    pub(super) async fn waiting(&self) -> Result<u64> {
        self.number("SELECT count(*) FROM nexus_memory.embedding_queue WHERE state = 'waiting'").await
    }

    /// Returns the next episodes that are due.
    pub(super) async fn next(&self) -> Result<Vec<Waiting>> {
        let sql = "SELECT e.episode_id::text, pg_catalog.left(e.content, $1), \
                     pg_catalog.sha256(pg_catalog.convert_to(e.content, 'UTF8')) \
             FROM (SELECT episode_id FROM nexus_memory.embedding_queue \
                   WHERE state = 'waiting' AND next_try_at <= now() ORDER BY next_try_at LIMIT $2) q \
             JOIN nexus_memory.zep_episodic_memory e USING (episode_id)";
        let characters = i32::try_from(MOST_CHARACTERS).unwrap_or(i32::MAX);
        let rows = self.rows("reading the queue", sql, &[&characters, &AT_ONCE]).await?;
        let waiting =
            rows.iter().map(|row| Waiting { episode: row.get(0), text: row.get(1), digest: row.get(2) });
        Ok(waiting.collect())
    }

    /// Stores vectors, all or none, each only if its text has not changed. The trigger removes
    /// their rows from the queue.
    pub(super) async fn fill(&self, group: &[Waiting], vectors: &Vectors) -> Result<()> {
        let doing = "storing vectors";
        let sql = "UPDATE nexus_memory.zep_episodic_memory \
             SET embedding = $2::real[]::public.vector, embedding_version = $3 \
             WHERE episode_id = $1::text::uuid AND pg_catalog.sha256(pg_catalog.convert_to(content, 'UTF8')) = $4";
        self.run(doing, "BEGIN").await?;
        let outcome = async {
            let update = self.client.prepare(sql).await?;
            for (one, vector) in group.iter().zip(vectors.rows()) {
                self.client.execute(&update, &[&one.episode, &vector, &vectors.version, &one.digest]).await?;
            }
            Ok::<(), Error>(())
        };
        match outcome.await {
            Ok(()) => self.run(doing, "COMMIT").await,
            Err(error) => {
                let failure = failed(doing, &error);
                // If the session has ended, so has the transaction.
                let _gone = self.run(doing, "ROLLBACK").await;
                Err(failure)
            }
        }
    }

    async fn run(&self, doing: &str, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(|error| failed(doing, &error))
    }

    /// Postpones a text by one minute, then four, then sixteen and so on. After the last attempt it
    /// is `failed`.
    pub(super) async fn postpone(&self, episode: &str, why: &str) -> Result<()> {
        let sql = "UPDATE nexus_memory.embedding_queue SET attempts = attempts + 1, last_error = $2, \
                 state = CASE WHEN attempts + 1 >= $3 THEN 'failed' ELSE 'waiting' END, \
                 next_try_at = now() + pg_catalog.make_interval(mins => (4 ^ LEAST(attempts, 8))::integer) \
             WHERE episode_id = $1::text::uuid";
        self.rows("postponing a row", sql, &[&episode, &why, &MOST_ATTEMPTS]).await.map(drop)
    }

    /// Counts the vectors by version; `None` counts vectors without a version.
    pub(super) async fn versions(&self) -> Result<Vec<(Option<String>, u64)>> {
        let sql = "SELECT embedding_version, count(*) FROM nexus_memory.zep_episodic_memory \
             WHERE embedding IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1";
        let rows = self.rows("counting vectors", sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect())
    }

    /// Counts the rows of the queue by state.
    pub(super) async fn states(&self) -> Result<Vec<(String, u64)>> {
        let sql = "SELECT state, count(*) FROM nexus_memory.embedding_queue GROUP BY 1 ORDER BY 1";
        let rows = self.rows("reading the queue", sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect())
    }

    /// Queues all episodes with a vector of another version, and all that failed. Returns their
    /// number.
    pub(super) async fn requeue(&self, version: &str) -> Result<u64> {
        let sql = "INSERT INTO nexus_memory.embedding_queue AS q (episode_id, agent_id) \
             SELECT episode_id, agent_id FROM nexus_memory.zep_episodic_memory \
             WHERE embedding IS NOT NULL AND embedding_version IS DISTINCT FROM $1 ON CONFLICT (episode_id) DO NOTHING";
        let others = self
            .client
            .execute(sql, &[&version])
            .await
            .map_err(|error| failed("queueing episodes", &error))?;
        let sql = "UPDATE nexus_memory.embedding_queue SET state = 'waiting', attempts = 0, next_try_at = now() WHERE state = 'failed'";
        let again =
            self.client.execute(sql, &[]).await.map_err(|error| failed("queueing episodes", &error))?;
        Ok(others + again)
    }
}

/// Converts an error of PostgreSQL. A temporary one is TryLater (75).
fn failed(doing: &str, error: &Error) -> Failure {
    match error.as_db_error() {
        Some(db) if is_busy(db.code().code()) => Failure::new(Exit::TryLater, doing)
            .because(format!("{} (SQLSTATE {})", db.message(), db.code().code()))
            .advise("The next run continues"),
        _ => from_client(doing, error),
    }
}
