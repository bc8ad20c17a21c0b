//! What is stored and asked: texts of topics, and vectors near directions, as embeddings are.

use std::fmt::Write;

use crate::api::random::Random;

/// Numbers of a vector.
pub(crate) const DIMENSIONS: usize = 384;

/// Directions of the mixture.
const DIRECTIONS: usize = 200;

/// How far a vector is from its direction: the length of what is added, beside the direction's 1. Two of the same direction
/// have a cosine of about a half, as two sentences of one topic have.
const SPREAD: f64 = 1.0;

/// One row in so many has this tag: filters that keep one percent are measured with it.
pub(crate) const RARE: usize = 100;

/// Syllables of made-up words.
const SYLLABLES: [&str; 24] = [
    "ka", "lo", "mi", "ne", "ru", "ta", "ve", "so", "pa", "di", "fu", "ge", "ha", "jo", "be", "ci", "ro",
    "sa", "tu", "vi", "na", "mo", "le", "po",
];

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) vector: Vec<f32>,
}

/// Makes rows and queries.
pub(crate) struct Maker {
    random: Random,
    directions: Vec<Vec<f32>>,
    made: usize,
}

impl Maker {
    /// Begins with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let directions = (0..DIRECTIONS).map(|_| normal(&mut random)).collect();
        Self { random, directions, made: 0 }
    }

    /// The next row.
    pub(crate) fn row(&mut self) -> Row {
        let topic = self.random.below(DIRECTIONS);
        let mut tags = vec!["bench"];
        if self.made.is_multiple_of(RARE) {
            tags.push("rare");
        }
        self.made += 1;
        Row { text: self.text(topic, 20), tags, vector: self.near(topic) }
    }

    /// A query: words, and a vector.
    pub(crate) fn query(&mut self) -> (String, Vec<f32>) {
        let topic = self.random.below(DIRECTIONS);
        (self.text(topic, 2), self.near(topic))
    }

    fn near(&mut self, topic: usize) -> Vec<f32> {
        let noise = normal(&mut self.random);
        // 32 bits are what is stored.
        #[allow(clippy::cast_possible_truncation)]
        let spread = SPREAD as f32;
        let sum = self.directions.get(topic).map_or_else(Vec::new, |direction| {
            direction.iter().zip(&noise).map(|(a, b)| a + spread * b).collect()
        });
        unit(sum)
    }

    /// Words of which a third are the topic's own.
    fn text(&mut self, topic: usize, words: usize) -> String {
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

/// A word for a number, always the same.
fn word_of(number: usize) -> String {
    let mut rest = number + SYLLABLES.len();
    let mut word = String::new();
    while rest > 0 {
        word += SYLLABLES.get(rest % SYLLABLES.len()).copied().unwrap_or_default();
        rest /= SYLLABLES.len();
    }
    word
}

fn normal(random: &mut Random) -> Vec<f32> {
    #[allow(clippy::cast_possible_truncation)]
    unit((0..DIMENSIONS).map(|_| random.normal() as f32).collect())
}

/// The same direction with length 1.
fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vector.into_iter().map(|number| number / length).collect()
}

/// The cosine of two vectors of length 1.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_and_a_topic_has_structure() {
        let (mut one, mut other) = (Maker::new(7), Maker::new(7));
        assert_eq!(one.row(), other.row());
        assert_ne!(one.row(), Maker::new(8).row());
        let (a, b, c) = (one.near(3), one.near(3), one.near(4));
        assert!(cosine(&a, &b) > 0.3, "{}", cosine(&a, &b));
        assert!(cosine(&a, &c) < 0.3);
        assert!((cosine(&a, &a) - 1.0).abs() < 1e-5);
    }
}
