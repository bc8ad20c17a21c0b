//! The requests that are measured.

use bytes::Bytes;
use nexus_cli::failure::Result;
use serde_json::{Value, json};

use crate::api::load::Requests;
use crate::args::{Data, Source};
use crate::data::{self, MIXTURE, Row};

/// Different requests of a kind, which are asked in turn.
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
    /// Those that read first.
    pub(super) const ALL: [Self; 5] = [Self::Vector, Self::Text, Self::Hybrid, Self::Insert, Self::Batch];

    /// As the report calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vector => "search vector",
            Self::Text => "search text",
            Self::Hybrid => "search hybrid",
            Self::Insert => "insert",
            Self::Batch => "insert 20",
        }
    }

    /// Where it is sent.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Vector | Self::Text | Self::Hybrid => "/memory/search",
            Self::Insert => "/memory/action",
            Self::Batch => "/memory/batch",
        }
    }
}

/// Makes them: other rows and queries than the database was filled with, of the same topics.
pub(super) struct Maker {
    data: data::Maker,
    /// Whether the API makes the vectors of what it is given.
    by_model: bool,
}

impl Maker {
    /// As `data` says.
    ///
    /// # Errors
    /// As [`data::Maker::new`].
    pub(super) fn new(data: &Data) -> Result<Self> {
        Ok(Self { data: data::Maker::later(data)?, by_model: data.vectors == Source::Model })
    }

    /// Requests of a kind.
    ///
    /// # Errors
    /// nexus-embed's.
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

    /// A search by meaning, and the vector that it compares with.
    ///
    /// # Errors
    /// nexus-embed's.
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
        // A text that the API makes a vector of needs none from here.
        let Row { text, tags, vector, .. } = self.data.plain_row();
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

    /// The version of the vectors that are compared with.
    pub(super) fn version(&self) -> String {
        self.data.version()
    }
}

fn body(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}
