//! Reads episodes: the newest, by time, by id.

use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::Json;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::input::temporal::{Period, Temporal};
use crate::memory::TABLE;
use crate::memory::error::DbError;
use crate::memory::pipeline;
use crate::memory::pool::Database;
use crate::time;

/// The columns of an [`Episode`]. `created_at` in responses is the column `timestamp`: when it
/// happened. Lists are ordered by it.
const COLUMNS: &str =
    r#"episode_id, content, importance_score, tags, "timestamp", embedding IS NOT NULL AS has_embedding"#;

/// An episode in a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Episode {
    pub(crate) id: Uuid,
    pub(crate) content: String,
    pub(crate) importance: Option<f64>,
    pub(crate) tags: Vec<String>,
    pub(crate) at: Timestamp,
    pub(crate) has_embedding: bool,
}

/// An episode with its metadata and the version of its vector.
#[derive(Debug, Serialize)]
pub(crate) struct Whole {
    #[serde(flatten)]
    episode: Value,
    metadata: Option<Metadata>,
    embedding_version: Option<String>,
}

/// JSON from the database, not parsed: `jsonb` keeps numbers that do not fit into 64 bits, and a
/// client gets them back unchanged.
pub(super) type Metadata = Box<RawValue>;

/// Returns the metadata in column `index`.
pub(super) fn metadata(row: &Row, index: usize) -> Result<Option<Metadata>, DbError> {
    Ok(row.try_get::<_, Option<Json<Metadata>>>(index)?.map(|Json(metadata)| metadata))
}

impl Episode {
    /// Reads a row with [`COLUMNS`].
    fn of(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.try_get(0)?,
            content: row.try_get(1)?,
            importance: row.try_get(2)?,
            // Another program may have stored NULL in the array.
            tags: row
                .try_get::<_, Option<Vec<Option<String>>>>(3)?
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .collect(),
            at: row.try_get(4)?,
            has_embedding: row.try_get(5)?,
        })
    }

    /// Returns the JSON for a list.
    pub(crate) fn json(&self) -> Value {
        json!({
            "episode_id": self.id.to_string(),
            "content": self.content,
            // Programs of the first NEXUS expect a number.
            "importance_score": self.importance.unwrap_or(0.5),
            "tags": self.tags,
            "created_at": time::text(self.at),
            "has_embedding": self.has_embedding,
        })
    }

    /// Returns the JSON for a search.
    pub(crate) fn json_with_similarity(&self, similarity: f64) -> Value {
        let mut json = self.json();
        if let Some(members) = json.as_object_mut() {
            members.remove("has_embedding");
            members.insert("similarity_score".to_owned(), json!(similarity));
        }
        json
    }
}

fn all(rows: &[Row]) -> Result<Vec<Episode>, DbError> {
    rows.iter().map(Episode::of).collect()
}

impl Database {
    /// Returns the newest episodes, newest first.
    pub(crate) async fn recent(&self, agent: &str, limit: i64) -> Result<Vec<Episode>, DbError> {
        let sql = format!(r#"SELECT {COLUMNS} FROM {TABLE} ORDER BY "timestamp" DESC LIMIT $1"#);
        all(&self.rows(agent, &sql, vec![&limit]).await?)
    }

    /// Returns the episodes of a period.
    pub(crate) async fn temporal(&self, agent: &str, query: &Temporal) -> Result<Vec<Episode>, DbError> {
        let mut values: Vec<pipeline::Value<'_>> = vec![&query.limit];
        let (condition, order) = match &query.period {
            Period::Before(moment) => {
                values.push(moment);
                (r#""timestamp" < $2"#, "DESC")
            }
            Period::After(moment) => {
                values.push(moment);
                (r#""timestamp" > $2"#, "ASC")
            }
            Period::Range(start, end) => {
                values.push(start);
                values.push(end);
                (r#""timestamp" BETWEEN $2 AND $3"#, "ASC")
            }
        };
        let mut tagged = String::new();
        if !query.tags.is_empty() {
            values.push(&query.tags);
            tagged = format!(" AND tags && ${}", values.len());
        }
        let sql = format!(
            r#"SELECT {COLUMNS} FROM {TABLE} WHERE {condition}{tagged} ORDER BY "timestamp" {order} LIMIT $1"#
        );
        all(&self.rows(agent, &sql, values).await?)
    }

    /// Returns those episodes of `ids` that exist, in any order.
    pub(crate) async fn by_ids(&self, agent: &str, ids: &[Uuid]) -> Result<Vec<Episode>, DbError> {
        let sql = format!("SELECT {COLUMNS} FROM {TABLE} WHERE episode_id = ANY ($1)");
        all(&self.rows(agent, &sql, vec![&ids]).await?)
    }

    /// Returns one episode with its metadata and the version of its vector.
    pub(crate) async fn by_id(&self, agent: &str, id: Uuid) -> Result<Option<Whole>, DbError> {
        let sql = format!("SELECT {COLUMNS}, metadata, embedding_version FROM {TABLE} WHERE episode_id = $1");
        let rows = self.rows(agent, &sql, vec![&id]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Whole {
            episode: Episode::of(row)?.json(),
            metadata: metadata(row, 6)?,
            embedding_version: row.try_get(7)?,
        }))
    }
}
