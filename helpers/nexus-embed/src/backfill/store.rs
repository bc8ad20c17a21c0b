//! The queue and the episodes, as the role nexus_embed may see them.

use nexus_cli::failure::{Exit, Failure, Result};
use nexus_embed_client::protocol::Vectors;
use nexus_postgres::control;
use nexus_postgres::failure::{from_client, is_busy};
use nexus_postgres::server::Server;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use crate::backfill::MOST_ATTEMPTS;
use crate::model::tokens::MOST_CHARACTERS;

/// Rows that are read at once.
const AT_ONCE: i64 = 32;

/// An episode that waits.
pub(super) struct Waiting {
    /// Its id, as text.
    pub(super) episode: String,
    /// As much of its content as counts.
    pub(super) text: String,
    /// SHA-256 of all of it.
    digest: Vec<u8>,
}

/// A session.
pub(super) struct Store {
    client: Client,
}

impl Store {
    pub(super) async fn open(server: &Server, application: &'static str) -> Result<Self> {
        let client = control::connect(server, &server.settings.database, application).await?;
        // A row that somebody else is changing is left for the next run.
        client
            .batch_execute("SET lock_timeout = '10s'; SET statement_timeout = '5min'")
            .await
            .map_err(|error| from_client("preparing the session", &error))?;
        Ok(Self { client })
    }

    /// Only one run at a time, for as long as this session lives.
    pub(super) async fn lock(&self) -> Result<()> {
        let sql = "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('nexus-embed --backfill', 0))";
        let rows = self.rows("taking the lock", sql, &[]).await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            return Ok(());
        }
        Err(Failure::new(Exit::TryLater, "filling in vectors")
            .because("another run is at it")
            .advise("See: systemctl status nexus-embed-backfill"))
    }

    async fn rows(&self, doing: &str, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.client.query(sql, values).await.map_err(|error| failed(doing, &error))
    }

    async fn number(&self, sql: &str) -> Result<u64> {
        let rows = self.rows("reading the queue", sql, &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0)).cast_unsigned())
    }

    /// Rows whose time has come.
    pub(super) async fn due(&self) -> Result<u64> {
        self.number("SELECT count(*) FROM nexus_memory.embedding_queue WHERE state = 'waiting' AND next_try_at <= now()")
            .await
    }

    /// All rows that wait.
    pub(super) async fn waiting(&self) -> Result<u64> {
        self.number("SELECT count(*) FROM nexus_memory.embedding_queue WHERE state = 'waiting'").await
    }

    /// The next ones.
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

    /// Stores vectors: all or none, each only where the text is still the same. The trigger empties the queue.
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
                // Where the session is gone, so is the transaction.
                let _gone = self.run(doing, "ROLLBACK").await;
                Err(failure)
            }
        }
    }

    async fn run(&self, doing: &str, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(|error| failed(doing, &error))
    }

    /// Puts a text off: one minute, four, sixteen … and then for good.
    pub(super) async fn not_done(&self, episode: &str, why: &str) -> Result<()> {
        let sql = "UPDATE nexus_memory.embedding_queue SET attempts = attempts + 1, last_error = $2, \
                 state = CASE WHEN attempts + 1 >= $3 THEN 'failed' ELSE 'waiting' END, \
                 next_try_at = now() + pg_catalog.make_interval(mins => (4 ^ LEAST(attempts, 8))::integer) \
             WHERE episode_id = $1::text::uuid";
        self.rows("putting a row off", sql, &[&episode, &why, &MOST_ATTEMPTS]).await.map(drop)
    }

    /// How many episodes have a vector of each version; none for rows whose version is not said.
    pub(super) async fn versions(&self) -> Result<Vec<(Option<String>, u64)>> {
        let sql = "SELECT embedding_version, count(*) FROM nexus_memory.zep_episodic_memory \
             WHERE embedding IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1";
        let rows = self.rows("counting vectors", sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect())
    }

    /// How many rows of the queue are in each state.
    pub(super) async fn states(&self) -> Result<Vec<(String, u64)>> {
        let sql = "SELECT state, count(*) FROM nexus_memory.embedding_queue GROUP BY 1 ORDER BY 1";
        let rows = self.rows("reading the queue", sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect())
    }

    /// Queues every episode whose vector is of another version, and every one that has failed. Says how many.
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

/// The server's error; one that passes by itself is for the next run.
fn failed(doing: &str, error: &Error) -> Failure {
    match error.as_db_error() {
        Some(db) if is_busy(db.code().code()) => Failure::new(Exit::TryLater, doing)
            .because(format!("{} (SQLSTATE {})", db.message(), db.code().code()))
            .advise("What is left waits for the next run"),
        _ => from_client(doing, error),
    }
}
