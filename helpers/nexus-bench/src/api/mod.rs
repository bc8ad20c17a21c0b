//! `nexus-bench api`: insert and search over HTTP.

mod cleaning;
mod client;
mod data;
mod load;
mod random;
mod recall;
mod vectors;

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use nexus_core::embedding::client::{Client as Embedder, DEFAULT_SOCKET};
use nexus_core::embedding::protocol::Kind;
use nexus_core::failure::{Exit, Failure, OrFail, OrFailIo, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::client::Client;
use crate::api::data::{Maker, Row};
use crate::api::load::Times;
use crate::api::random::Random;
use crate::api::recall::Stored;
use crate::args::{Api, Source};

/// Rows of one request while the memory is filled: nexus-embed takes 64 texts at once.
const AT_ONCE: usize = 50;

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    episodes: u32,
    vectors: &'static str,
    rate: u32,
    seed: u64,
    times: Vec<Times>,
    recall_at_10: f64,
    /// With a filter that keeps one row in a hundred.
    recall_at_10_filtered: f64,
}

/// Measures, and says what came of it.
///
/// # Errors
/// Unavailable (69) when the API or what it needs does not answer.
pub(crate) fn run(args: &Api) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_fail(Exit::Software, || "starting the runtime")?;
    let agent = args.agent.clone().unwrap_or_else(|| format!("bench-{}", args.seed));
    let report = runtime.block_on(async {
        let report = Bench::begin(args, &agent).await;
        let report = match report {
            Ok(bench) => bench.measure().await,
            Err(failure) => Err(failure),
        };
        // Whatever came of it.
        let removed = if args.keep { Ok(0) } else { cleaning::remove(args, &agent).await };
        let report = report?;
        removed.map(|_| report)
    })?;
    tell(args, &report)
}

/// A memory that is filled.
struct Bench<'a> {
    args: &'a Api,
    client: Arc<Client>,
    maker: Maker,
    stored: Stored,
    /// Of the vectors.
    version: String,
    embedder: Embedder,
}

impl<'a> Bench<'a> {
    /// Fills the memory of `agent`, which must be empty.
    async fn begin(args: &'a Api, agent: &str) -> Result<Self> {
        let client = Arc::new(Client::new(&args.socket, agent));
        let has = client.get("/stats").await?["stats"]["total_episodes"].as_i64();
        if has != Some(0) {
            return Err(Failure::new(Exit::CannotCreate, format!("filling the memory of the agent {agent}"))
                .because("it is not empty")
                .advise("Name another with --agent"));
        }
        let mut bench = Self {
            args,
            client,
            maker: Maker::new(args.seed),
            stored: Stored::default(),
            version: "nexus-bench".to_owned(),
            embedder: Embedder::new(DEFAULT_SOCKET),
        };
        let episodes = usize::try_from(args.episodes).unwrap_or(usize::MAX);
        while bench.stored.ids.len() < episodes {
            bench.fill(AT_ONCE.min(episodes - bench.stored.ids.len())).await?;
        }
        Ok(bench)
    }

    async fn fill(&mut self, number: usize) -> Result<()> {
        let mut rows: Vec<Row> = (0..number).map(|_| self.maker.row()).collect();
        if self.args.vectors == Source::Model {
            let texts = rows.iter().map(|row| row.text.clone()).collect();
            let (vectors, version) = vectors::of_texts(&mut self.embedder, Kind::Passage, texts).await?;
            self.version = version;
            rows.iter_mut().zip(vectors).for_each(|(row, vector)| row.vector = vector);
        }
        let actions: Vec<Value> = rows.iter().map(|row| self.action(row, true)).collect();
        let answer = self.client.post("/memory/batch", body(&json!({"actions": actions}))).await?;
        let ids = answer["episode_ids"].as_array().into_iter().flatten();
        let ids: Vec<String> = ids.filter_map(|id| id.as_str().map(str::to_owned)).collect();
        if ids.len() != number {
            return Err(Failure::new(Exit::Unavailable, "storing episodes").because("it gives fewer ids"));
        }
        for (id, row) in ids.into_iter().zip(rows) {
            self.stored.ids.push(id);
            self.stored.is_rare.push(row.tags.contains(&"rare"));
            self.stored.vectors.push(row.vector);
        }
        Ok(())
    }

    fn action(&self, row: &Row, with_vector: bool) -> Value {
        let mut action = json!({
            "action_type": "bench",
            "action_details": {"content": row.text},
            "tags": row.tags,
        });
        if with_vector {
            action["embedding"] = json!(row.vector);
            action["embedding_version"] = self.version.clone().into();
        }
        action
    }

    /// A search; with the model the API makes the vector of the words, else it is given.
    fn search(&self, mode: &str, query: &str, vector: &[f32], tag: Option<&str>) -> Value {
        let mut search = json!({"query": query, "mode": mode, "limit": 10, "min_similarity": 0, "tags": tag.map(|tag| [tag])});
        if self.args.vectors == Source::Given && mode != "text" {
            search["embedding"] = json!(vector);
            search["embedding_version"] = self.version.clone().into();
        }
        search
    }

    async fn measure(mut self) -> Result<Report> {
        let (args, client) = (self.args, Arc::clone(&self.client));
        // First, while the rows are those whose exact neighbours are known.
        let recall_at_10 = self.recall(false).await?;
        let recall_at_10_filtered = self.recall(true).await?;
        let mut random = Random::new(args.seed ^ 0xA11);
        let mut times = Vec::new();
        for (kind, mode) in
            [("search vector", "vector"), ("search text", "text"), ("search hybrid", "hybrid")]
        {
            let searches: Vec<Bytes> = (0..1000)
                .map(|_| {
                    let (query, vector) = self.maker.query();
                    body(&self.search(mode, &query, &vector, None))
                })
                .collect();
            let mut next = searches.iter().cycle();
            let body = || next.next().cloned().unwrap_or_default();
            times.push(
                load::measure(&client, kind, "/memory/search", args.time, args.rate, &mut random, body)
                    .await?,
            );
        }
        let inserts: Vec<Bytes> = (0..1000)
            .map(|_| {
                let row = self.maker.row();
                body(&self.action(&row, args.vectors == Source::Given))
            })
            .collect();
        let mut next = inserts.iter().cycle();
        let body = || next.next().cloned().unwrap_or_default();
        times.push(
            load::measure(&client, "insert", "/memory/action", args.time, args.rate, &mut random, body)
                .await?,
        );
        let vectors = match args.vectors {
            Source::Given => "a mixture of 200 directions",
            Source::Model => "the model's",
        };
        Ok(Report {
            episodes: args.episodes,
            vectors,
            rate: args.rate,
            seed: args.seed,
            times,
            recall_at_10,
            recall_at_10_filtered,
        })
    }

    async fn recall(&mut self, rare: bool) -> Result<f64> {
        let mut sum = 0.0;
        for _ in 0..self.args.queries {
            let (query, mut vector) = self.maker.query();
            if self.args.vectors == Source::Model {
                let (vectors, _) =
                    vectors::of_texts(&mut self.embedder, Kind::Query, vec![query.clone()]).await?;
                vector = vectors.into_iter().next().unwrap_or_default();
            }
            let search = self.search("vector", &query, &vector, rare.then_some("rare"));
            let answer = self.client.post("/memory/search", body(&search)).await?;
            let results = answer["results"].as_array().into_iter().flatten();
            let found: Vec<String> =
                results.filter_map(|result| result["episode_id"].as_str().map(str::to_owned)).collect();
            sum += self.stored.recall(&vector, rare, &found);
        }
        Ok(sum / f64::from(self.args.queries))
    }
}

fn body(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn tell(args: &Api, report: &Report) -> Result<()> {
    let mut text = String::new();
    if args.json {
        text += &json!(report).to_string();
        text.push('\n');
    } else {
        text += &format!(
            "{} episodes, vectors: {}, {} requests a second, seed {}\n",
            report.episodes, report.vectors, report.rate, report.seed
        );
        text += &format!(
            "{:<14} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "ms", "answers", "errors", "p50", "p95", "p99", "max", "1/s"
        );
        for Times { kind, answers, errors, p50, p95, p99, max, per_second } in &report.times {
            text += &format!(
                "{kind:<14} {answers:>8} {errors:>7} {p50:>9.2} {p95:>9.2} {p99:>9.2} {max:>9.2} {per_second:>9.1}\n"
            );
        }
        text += &format!(
            "recall@10 {:.3}, with a filter that keeps 1 %: {:.3}\n",
            report.recall_at_10, report.recall_at_10_filtered
        );
    }
    std::io::stdout().write_all(text.as_bytes()).or_fail_io(|| "writing the report")
}
