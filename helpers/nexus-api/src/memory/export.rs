//! Exports an agent's episodes row by row from one snapshot. The memory use does not depend on
//! their number.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::tokio_postgres::types::ToSql;
use deadpool_postgres::tokio_postgres::{Client, Row, RowStream};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use nexus_postgres::session;
use nexus_sharing::shares::Share;
use pgvector::Vector;
use serde::Serialize;
use uuid::Uuid;

use crate::error::ApiError;
use crate::memory::episodes::{Metadata, metadata};
use crate::memory::error::DbError;
use crate::memory::pool::Database;
use crate::peer::Sharer;
use crate::time;

/// Oldest first, so that an import stores them in this order.
const ALL: &str = r#"SELECT episode_id, content, importance_score, tags, "timestamp", metadata, embedding, embedding_version
    FROM nexus_memory.zep_episodic_memory ORDER BY "timestamp", episode_id"#;

/// Time limit for an export. Its snapshot keeps VACUUM from removing dead rows.
const LONGEST: Duration = Duration::from_secs(3600);

/// An export in progress.
pub(crate) struct Export {
    rows: Pin<Box<RowStream>>,
    /// Dropping it closes the connection.
    _client: Client,
    _share: Share<Sharer>,
    end: tokio::time::Instant,
}

impl Database {
    /// Starts an export of the episodes of `agent`. It holds `share` until it ends.
    pub(crate) async fn export(&self, agent: &str, share: Share<Sharer>) -> Result<Export, DbError> {
        let client = self.own_connection().await?;
        let preparing = async {
            // For the whole session, which only this export uses. The client may be slow, so only
            // our own limit applies.
            client.query("SELECT set_config('nexus.agent_id', $1, false)", &[&agent]).await?;
            client.batch_execute(session::FIRST).await?;
            client.batch_execute("SET statement_timeout = 0; SET default_transaction_read_only = on").await?;
            let none: [&(dyn ToSql + Sync); 0] = [];
            client.query_raw(ALL, none).await
        };
        let rows = tokio::time::timeout(self.limit, preparing)
            .await
            .map_err(|_| DbError::Down("it does not answer".to_owned()))??;
        let end = tokio::time::Instant::now() + LONGEST;
        Ok(Export { rows: Box::pin(rows), _client: client, _share: share, end })
    }
}

impl Export {
    /// Returns one line for each row. After an error the response has no proper end, so that its
    /// client sees that it is incomplete.
    pub(crate) fn lines(self) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
        futures_util::stream::unfold(Some(self), |export| async {
            let mut export = export?;
            let next = tokio::time::timeout_at(export.end, export.rows.next()).await;
            let line = match next {
                Ok(None) => return None,
                Ok(Some(row)) => row.map_err(DbError::from).and_then(|row| line(&row)),
                Err(_) => Err(DbError::Down("the export took too long".to_owned())),
            };
            match line {
                Ok(line) => Some((Ok(line), Some(export))),
                Err(error) => {
                    // The conversion logs the error without quoting rows.
                    log::warn!("an export ends early: {}", ApiError::from(error).code);
                    Some((Err(std::io::Error::other("the export ends early")), None))
                }
            }
        })
    }
}

/// A line of an export.
#[derive(Serialize)]
struct Line {
    episode_id: String,
    content: String,
    importance_score: Option<f64>,
    tags: Vec<String>,
    created_at: String,
    metadata: Option<Metadata>,
    embedding: Option<Vec<f32>>,
    embedding_version: Option<String>,
}

fn line(row: &Row) -> Result<Bytes, DbError> {
    let tags: Option<Vec<Option<String>>> = row.try_get(3)?;
    let at: Timestamp = row.try_get(4)?;
    let vector: Option<Vector> = row.try_get(6)?;
    let line = Line {
        episode_id: row.try_get::<_, Uuid>(0)?.to_string(),
        content: row.try_get(1)?,
        importance_score: row.try_get(2)?,
        tags: tags.unwrap_or_default().into_iter().flatten().collect(),
        created_at: time::text(at),
        metadata: metadata(row, 5)?,
        embedding: vector.map(Into::into),
        embedding_version: row.try_get(7)?,
    };
    let line = serde_json::to_string(&line).map_err(|error| DbError::Unreadable(error.to_string()))?;
    Ok(Bytes::from(line + "\n"))
}
