//! The measured requests.

use bytes::Bytes;
use nexus_cli::failure::Result;
use serde_json::{Value, json};

use crate::api::load::Requests;
use crate::args::{Data, Source};
use crate::data::{self, MIXTURE, Row};

/// The number of different requests of a kind.
const DIFFERENT: usize = 1000;

/// Episodes of one batch.
const BATCH: usize = 20;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    Vector,
    Text,
    Hybrid,
    Insert,
    Batch,
}

impl RequestKind {
    /// All kinds; searches come first, because inserts add rows.
    pub(super) const ALL: [Self; 5] = [Self::Vector, Self::Text, Self::Hybrid, Self::Insert, Self::Batch];

    /// Returns the name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vector => "search vector",
            Self::Text => "search text",
            Self::Hybrid => "search hybrid",
            Self::Insert => "insert",
            Self::Batch => "insert 20",
        }
    }

    /// Returns the path of the request.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Vector | Self::Text | Self::Hybrid => "/memory/search",
            Self::Insert => "/memory/action",
            Self::Batch => "/memory/batch",
        }
    }
}

/// Makes requests with rows and queries that are not in the database, but have the same topics.
pub(super) struct Maker {
    data: data::Maker,
    /// Whether the API gets the vectors from nexus-embed.
    by_model: bool,
}

impl Maker {
    /// Creates a maker for `data`.
    ///
    /// # Errors
    /// Same as [`data::Maker::new`].
    pub(super) fn new(data: &Data) -> Result<Self> {
        Ok(Self { data: data::Maker::later(data)?, by_model: data.vectors == Source::Model })
    }

    /// Makes requests of a kind.
    pub(super) fn requests(&mut self, kind: RequestKind) -> Result<Requests> {
        let bodies = match kind {
            RequestKind::Vector => self.searches("vector"),
            RequestKind::Text => self.searches("text"),
            RequestKind::Hybrid => self.searches("hybrid"),
            RequestKind::Insert => (0..DIFFERENT).map(|_| Ok(body(&self.action()))).collect(),
            RequestKind::Batch => (0..DIFFERENT / BATCH).map(|_| Ok(self.batch())).collect(),
        };
        Ok(Requests { path: kind.path(), bodies: bodies? })
    }

    /// Makes a search by meaning. Also returns its vector.
    pub(super) fn compared(&mut self, rare: bool) -> Result<(Bytes, Vec<f32>)> {
        let (query, vector) = self.data.query()?;
        Ok((body(&self.search("vector", &query, &vector, rare.then_some("rare"))), vector))
    }

    fn searches(&mut self, mode: &str) -> Result<Vec<Bytes>> {
        (0..DIFFERENT)
            .map(|_| {
                let (query, vector) =
                    if mode == "text" { (self.data.words(), Vec::new()) } else { self.data.query()? };
                Ok(body(&self.search(mode, &query, &vector, None)))
            })
            .collect()
    }

    fn batch(&mut self) -> Bytes {
        let actions: Vec<Value> = (0..BATCH).map(|_| self.action()).collect();
        body(&json!({ "actions": actions }))
    }

    fn action(&mut self) -> Value {
        // Without a vector if the API gets it from nexus-embed.
        let Row { text, tags, vector, .. } = self.data.row();
        let mut action =
            json!({ "action_type": "bench", "action_details": { "content": text }, "tags": tags });
        if !self.by_model {
            action["embedding"] = json!(vector);
            action["embedding_version"] = MIXTURE.into();
        }
        action
    }

    fn search(&self, mode: &str, query: &str, vector: &[f32], tag: Option<&str>) -> Value {
        let mut search = json!({ "query": query, "mode": mode, "limit": 10, "min_similarity": 0, "tags": tag.map(|tag| [tag]) });
        if !self.by_model && mode != "text" {
            search["embedding"] = json!(vector);
            search["embedding_version"] = MIXTURE.into();
        }
        search
    }

    /// Returns the version of the vectors of queries.
    pub(super) fn version(&self) -> String {
        self.data.version()
    }
}

fn body(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}
