//! Data for the benchmark: texts with topics, and vectors distributed like embeddings.

mod mixture;
pub(crate) mod random;
mod row;
mod vectors;
mod words;

pub(crate) use row::{OLD, Row, literal};

use std::fmt::Write;

use nexus_cli::failure::Result;
use nexus_embed_client::protocol::TextKind;

use crate::args::{Data, Source};
use crate::data::mixture::{Mixture, TOPICS};
use crate::data::random::Random;
use crate::data::words::{paragraphs, word_of};

/// The dimensions of a vector.
pub(crate) const DIMENSIONS: usize = 384;

/// One row in this number has the tag `rare`, for filters that keep one percent.
pub(crate) const RARE: u64 = 100;

/// The version of the mixture's vectors.
pub(crate) const MIXTURE: &str = "nexus-bench";

/// Makes rows and queries.
pub(crate) struct Maker {
    random: Random,
    mixture: Mixture,
    texts: Vec<String>,
    embedder: Option<vectors::Embedder>,
    made: u64,
}

impl Maker {
    /// Creates a maker with the seed of `data`.
    ///
    /// # Errors
    /// I/O if the texts cannot be read; Data (65) if there are none.
    pub(crate) fn new(data: &Data) -> Result<Self> {
        let texts = data.texts.as_deref().map(paragraphs).transpose()?.unwrap_or_default();
        let embedder = (data.vectors == Source::Model).then(vectors::Embedder::new).transpose()?;
        Ok(Self { texts, embedder, ..Self::seeded(data.seed, data.episodes) })
    }

    /// Creates a maker whose rows and queries differ from those of [`Maker::new`], with the same topics.
    ///
    /// # Errors
    /// Same as [`Maker::new`].
    pub(crate) fn later(data: &Data) -> Result<Self> {
        let mut maker = Self::new(data)?;
        maker.random = Random::new(data.seed ^ 0x1A7E);
        Ok(maker)
    }

    fn seeded(seed: u64, episodes: u32) -> Self {
        let mixture = Mixture::new(seed, usize::try_from(episodes).unwrap_or(usize::MAX));
        Self { random: Random::new(seed ^ 0x5EED), mixture, texts: Vec::new(), embedder: None, made: 0 }
    }

    /// Makes the next rows, at most 64.
    pub(crate) fn rows(&mut self, number: usize) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = (0..number).map(|_| self.row()).collect();
        if let Some(embedder) = &mut self.embedder {
            let texts = rows.iter().map(|row| row.text.clone()).collect();
            let (vectors, version) = embedder.of_texts(TextKind::Passage, texts)?;
            for (row, vector) in rows.iter_mut().zip(vectors) {
                (row.vector, row.version) = (vector, version.clone());
            }
        }
        Ok(rows)
    }

    /// Makes the words of a query.
    pub(crate) fn words(&mut self) -> String {
        let topic = self.random.below(TOPICS);
        self.text(topic, 2)
    }

    /// Returns the version of the vectors of queries.
    pub(crate) fn version(&self) -> String {
        self.embedder
            .as_ref()
            .and_then(|embedder| embedder.version.clone())
            .unwrap_or_else(|| MIXTURE.to_owned())
    }

    /// Makes the next row, always with a vector of the mixture.
    pub(crate) fn row(&mut self) -> Row {
        let topic = self.random.below(TOPICS);
        let mut tags = vec!["bench"];
        if self.made.is_multiple_of(RARE) {
            tags.push("rare");
        }
        let number = self.made;
        self.made += 1;
        let text = self.text(topic, 20);
        Row { number, text, tags, vector: self.near(topic), version: MIXTURE.to_owned() }
    }

    /// Makes a query: words, and the vector for a search by meaning.
    pub(crate) fn query(&mut self) -> Result<(String, Vec<f32>)> {
        let topic = self.random.below(TOPICS);
        let text = self.text(topic, 2);
        let vector = match &mut self.embedder {
            Some(embedder) => embedder
                .of_texts(TextKind::Query, vec![text.clone()])?
                .0
                .into_iter()
                .next()
                .unwrap_or_default(),
            None => self.near(topic),
        };
        Ok((text, vector))
    }

    fn near(&mut self, topic: usize) -> Vec<f32> {
        self.mixture.near(topic, &mut self.random)
    }

    /// Makes a text of made-up words, a third of them from the topic. If there are real texts,
    /// returns one, or its beginning for a query.
    fn text(&mut self, topic: usize, words: usize) -> String {
        if !self.texts.is_empty() {
            let text = &self.texts[self.random.below(self.texts.len())];
            return if words < 10 {
                text.split_whitespace().take(3 * words).collect::<Vec<_>>().join(" ")
            } else {
                text.clone()
            };
        }
        let mut text = String::new();
        for place in 0..words {
            let word = if place % 3 == 0 {
                topic * 40 + self.random.below(40)
            } else {
                10_000 + self.random.below(4000)
            };
            if place > 0 {
                text.push(' ');
            }
            // Writing to a String cannot fail.
            let _ = write!(text, "{}", word_of(word));
        }
        text
    }
}

/// Scales a vector to length 1.
fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vector.into_iter().map(|number| number / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_rows() {
        let (mut one, mut other) = (Maker::seeded(7, 1000), Maker::seeded(7, 1000));
        assert_eq!(one.row(), other.row());
        assert_ne!(one.row(), Maker::seeded(8, 1000).row());
        let length: f32 = one.row().vector.iter().map(|number| number * number).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
}
