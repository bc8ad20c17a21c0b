//! Searches by meaning in the vector index, by words in the full-text index, and fuses both
//! results.

use std::collections::HashMap;

use deadpool_postgres::tokio_postgres::types::ToSql;
use pgvector::Vector;
use uuid::Uuid;

use crate::input::episode::Embedding;
use crate::input::search::{Filters, Search};
use crate::memory::TABLE;
use crate::memory::episodes::Episode;
use crate::memory::error::DbError;
use crate::memory::pipeline::{Step, Value};
use crate::memory::pool::Database;

/// The least number of rows from the vector index. It is above the usual limit, because the last
/// rows may be out of order in relaxed order, and longer lists fuse better.
const DEPTH: i64 = 30;

/// The number of newest rows that are ranked among those that match by words, unless the limit is
/// higher. A rank takes at least a tenth of a millisecond, because PostgreSQL parses the text
/// again. A word that is in every row must not make a search read every text.
const RANKED: i64 = 40;

/// The characters at the beginning of a text that count for its rank. The whole text counts for the
/// match.
const RANKED_TEXT: i64 = 1000;

/// Reciprocal rank fusion's constant, as in the paper (Cormack, Clarke, Büttcher 2009).
const RRF: f64 = 60.0;

/// A row in a result, and its similarity.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Hit {
    id: Uuid,
    score: f64,
}

/// A statement under construction.
struct Sql<'a> {
    text: String,
    values: Vec<Value<'a>>,
}

impl<'a> Sql<'a> {
    /// Adds a value, and returns its placeholder.
    fn value(&mut self, value: &'a (dyn ToSql + Sync)) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Adds an AND with each condition of `filters`.
    fn filter(&mut self, filters: &'a Filters) {
        if !filters.tags.is_empty() {
            let placeholder = self.value(&filters.tags);
            self.text += &format!(" AND tags @> {placeholder}");
        }
        if let Some(kind) = &filters.kind {
            let placeholder = self.value(kind);
            self.text += &format!(" AND metadata ->> 'action_type' = {placeholder}");
        }
        if let Some(since) = &filters.since {
            let placeholder = self.value(since);
            self.text += &format!(r#" AND "timestamp" >= {placeholder}"#);
        }
        if let Some(until) = &filters.until {
            let placeholder = self.value(until);
            self.text += &format!(r#" AND "timestamp" <= {placeholder}"#);
        }
    }
}

/// Selects the nearest rows with the vector's version. Other versions are not comparable.
fn nearest<'a>(vector: &'a Vector, version: &'a String, depth: &'a i64, filters: &'a Filters) -> Sql<'a> {
    let mut sql = Sql { text: String::new(), values: vec![vector, version, depth] };
    sql.text = format!(
        "SELECT episode_id, 1 - (embedding OPERATOR(public.<=>) $1) FROM {TABLE} WHERE embedding_version = $2"
    );
    sql.filter(filters);
    sql.text += " ORDER BY embedding OPERATOR(public.<=>) $1 LIMIT $3";
    sql
}

/// Selects the rows with the query's words, best first. With `compared`, also selects each row's
/// similarity by meaning.
fn matching<'a>(
    query: &'a String,
    ranked: &'a i64,
    compared: Option<(&'a Vector, &'a String)>,
    filters: &'a Filters,
) -> Sql<'a> {
    let mut sql = Sql { text: String::new(), values: vec![query, ranked] };
    // Materialized, so that PostgreSQL uses the full-text index. The planner does not know the cost
    // of episode_words, and would read the newest rows one by one.
    sql.text = format!(
        r#"WITH matching AS MATERIALIZED (SELECT episode_id, "timestamp" FROM {TABLE}
            WHERE nexus_memory.episode_words(content) @@ nexus_memory.episode_query($1)"#
    );
    sql.filter(filters);
    let near = match compared {
        None => "NULL::double precision".to_owned(),
        Some((vector, version)) => {
            let (vector, version) = (sql.value(vector), sql.value(version));
            format!(
                "CASE WHEN embedding_version = {version} THEN 1 - (embedding OPERATOR(public.<=>) {vector}) END"
            )
        }
    };
    sql.text += &format!(
        r#"), newest AS (SELECT episode_id FROM matching ORDER BY "timestamp" DESC LIMIT $2)
        SELECT episode_id, ts_rank(nexus_memory.episode_words(left(content, {RANKED_TEXT})),
            nexus_memory.episode_query($1), 32)::double precision AS rank, {near}
        FROM {TABLE} WHERE episode_id IN (SELECT episode_id FROM newest)
        ORDER BY rank DESC, "timestamp" DESC"#
    );
    sql
}

impl Database {
    /// Searches by `embedding` (unless `None`), by words (if `words`), or by both.
    ///
    /// The similarity of a result is the cosine if both have a vector of the same version, else the
    /// rank of its words; 0 to 1.
    pub(crate) async fn search(
        &self,
        agent: &str,
        search: &Search,
        embedding: Option<&Embedding>,
        words: bool,
    ) -> Result<Vec<(Episode, f64)>, DbError> {
        let depth = DEPTH.max(search.limit * 2);
        let ranked = RANKED.max(search.limit);
        let compared = embedding.map(|given| (Vector::from(given.vector.clone()), &given.version));
        let near =
            compared.as_ref().map(|(vector, version)| nearest(vector, version, &depth, &search.filters));
        let compared = compared.as_ref().map(|(vector, version)| (vector, *version));
        let matches = words.then(|| matching(&search.query, &ranked, compared, &search.filters));
        let mut steps = Vec::with_capacity(2);
        steps.extend(near.as_ref().map(|sql| Step::new(&sql.text, sql.values.clone())));
        steps.extend(matches.as_ref().map(|sql| Step::new(&sql.text, sql.values.clone())));
        let mut rows = self.read(agent, &steps).await?.into_iter();

        let mut by_meaning = Vec::new();
        if near.is_some() {
            for row in rows.next().unwrap_or_default() {
                by_meaning.push(Hit { id: row.try_get(0)?, score: row.try_get(1)? });
            }
            by_meaning.sort_by(|a, b| b.score.total_cmp(&a.score));
            by_meaning.retain(|hit| hit.score >= search.min_similarity);
        }
        let mut by_words = Vec::new();
        if matches.is_some() {
            for row in rows.next().unwrap_or_default() {
                let rank: f64 = row.try_get(1)?;
                let near: Option<f64> = row.try_get(2)?;
                by_words.push(Hit { id: row.try_get(0)?, score: near.unwrap_or(rank) });
            }
        }
        let limit = usize::try_from(search.limit).unwrap_or_default();
        let best = fuse(&by_meaning, &by_words, limit);
        if best.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = best.iter().map(|hit| hit.id).collect();
        let mut found: HashMap<Uuid, Episode> =
            self.by_ids(agent, &ids).await?.into_iter().map(|episode| (episode.id, episode)).collect();
        // An episode forgotten since then is missing here.
        Ok(best.iter().filter_map(|hit| Some((found.remove(&hit.id)?, hit.score.clamp(0.0, 1.0)))).collect())
    }
}

/// Fuses both lists by reciprocal rank: a hit near the top of either list is near the top, and
/// higher if it is in both.
fn fuse(by_meaning: &[Hit], by_words: &[Hit], limit: usize) -> Vec<Hit> {
    let mut fused: Vec<(Hit, f64)> = Vec::with_capacity(by_meaning.len() + by_words.len());
    for list in [by_meaning, by_words] {
        for (place, hit) in list.iter().enumerate() {
            // Lists have some hundred entries at most.
            #[allow(clippy::cast_precision_loss)]
            let weight = 1.0 / (RRF + 1.0 + place as f64);
            match fused.iter_mut().find(|(other, _)| other.id == hit.id) {
                Some((_, sum)) => *sum += weight,
                None => fused.push((*hit, weight)),
            }
        }
    }
    // A stable sort: of two hits with the same weight, the one found by meaning comes first.
    fused.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    fused.into_iter().take(limit).map(|(hit, _)| hit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hits(ids: &[u128]) -> Vec<Hit> {
        ids.iter().map(|&id| Hit { id: Uuid::from_u128(id), score: 0.5 }).collect()
    }

    fn ids(hits: &[Hit]) -> Vec<u128> {
        hits.iter().map(|hit| hit.id.as_u128()).collect()
    }

    #[test]
    fn what_both_lists_have_comes_first() {
        assert_eq!(ids(&fuse(&hits(&[1, 2, 3]), &hits(&[4, 3]), 10)), [3, 1, 4, 2]);
        assert_eq!(ids(&fuse(&hits(&[1, 2, 3]), &[], 2)), [1, 2]);
    }

    proptest! {
        #[test]
        fn a_fusion_holds_each_once_and_keeps_the_order_of_one_list(a in prop::collection::hash_set(0_u128..40, 0..30), b in prop::collection::hash_set(0_u128..40, 0..30)) {
            let (a, b): (Vec<u128>, Vec<u128>) = (a.into_iter().collect(), b.into_iter().collect());
            let fused = ids(&fuse(&hits(&a), &hits(&b), usize::MAX));
            let mut expected: Vec<u128> = a.iter().chain(&b).copied().collect();
            expected.sort_unstable();
            expected.dedup();
            let mut sorted = fused.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, expected);
            prop_assert_eq!(ids(&fuse(&hits(&a), &[], usize::MAX)), a.clone());
            let only_a: Vec<u128> = fused.iter().copied().filter(|id| !b.contains(id)).collect();
            let in_a: Vec<u128> = a.iter().copied().filter(|id| !b.contains(id)).collect();
            prop_assert_eq!(only_a, in_a);
        }
    }
}
