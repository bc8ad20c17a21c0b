//! How many of the ten nearest rows a search finds: its answer beside the exact one.

use std::collections::HashSet;

use crate::api::data::cosine;

/// Answers that are compared.
pub(crate) const TEN: usize = 10;

/// Rows as they were stored.
#[derive(Default)]
pub(crate) struct Stored {
    /// In the order of `vectors`.
    pub(crate) ids: Vec<String>,
    /// Of length 1.
    pub(crate) vectors: Vec<Vec<f32>>,
    /// Whether it has the rare tag.
    pub(crate) is_rare: Vec<bool>,
}

impl Stored {
    /// The share of the ten rows nearest to `query`, among the rare ones only where `rare`, that are in `found`. A row as
    /// near as the tenth counts, whichever of them was found; one that points away is no answer to any search (the least
    /// `min_similarity` is 0).
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn recall(&self, query: &[f32], rare: bool, found: &[String]) -> f64 {
        let mut near: Vec<(f32, &str)> = self
            .vectors
            .iter()
            .zip(&self.ids)
            .zip(&self.is_rare)
            .filter(|(_, is_rare)| !rare || **is_rare)
            .map(|((vector, id), _)| (cosine(query, vector), id.as_str()))
            .filter(|(similarity, _)| *similarity >= 0.0)
            .collect();
        near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let wanted = near.len().min(TEN);
        let Some((tenth, _)) = wanted.checked_sub(1).and_then(|last| near.get(last)) else { return 1.0 };
        let right: HashSet<&str> = near
            .iter()
            .take_while(|(similarity, _)| *similarity >= tenth - 1e-6)
            .map(|(_, id)| *id)
            .collect();
        let hits = found.iter().take(TEN).filter(|id| right.contains(id.as_str())).count();
        hits.min(wanted) as f64 / wanted as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_what_was_found_of_the_nearest() {
        let vector = |angle: f32| vec![angle.cos(), angle.sin()];
        let stored = Stored {
            ids: (0_u8..20).map(|n| n.to_string()).collect(),
            vectors: (0_u8..20).map(|n| vector(f32::from(n) * 0.05)).collect(),
            is_rare: (0..20).map(|n| n % 2 == 0).collect(),
        };
        let ids = |numbers: &[u8]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
        let query = vector(0.0);
        let is = |rare, found: &[u8], expected: f64| {
            (stored.recall(&query, rare, &ids(found)) - expected).abs() < 1e-9
        };
        assert!(is(false, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 1.0));
        assert!(is(false, &[0, 1, 2, 3, 4, 15, 16, 17, 18, 19], 0.5));
        assert!(is(true, &[0, 2, 4, 6, 8, 10, 12, 14, 16, 18], 1.0));
        assert!(is(false, &[], 0.0));
    }
}
