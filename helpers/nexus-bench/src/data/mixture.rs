//! Vectors distributed like embeddings of real texts.
//!
//! The model was measured with all-MiniLM-L6-v2's vectors of 74,274 short texts: descriptions of
//! Debian packages, fortunes and documentation. Their mean has length 0.28. The variances along the
//! principal components follow k^-0.55 · exp(-(k/250)^2.5), k from 1 to 384, within 4 %. The median
//! cosine is 0.78 to the nearest other vector, 0.59 to the tenth, 0.46 to the hundredth, and 0.07
//! to any. In this mixture it is 0.72, 0.59, 0.46 and 0.07.

use crate::data::random::Random;
use crate::data::{DIMENSIONS, unit};

/// The number of topics.
pub(super) const TOPICS: usize = 300;

/// The average number of rows with nearly the same meaning.
const ALIKE: usize = 8;

/// The shares of the variance that rows of one topic, and alike rows, have in common.
const SHARE_OF_TOPIC: f64 = 0.40;
const SHARE_OF_ALIKE: f64 = 0.25;

/// The length of the mean of all vectors.
const MEAN: f64 = 0.28;

/// The axes that one step of the rotation mixes: a power of two that divides [`DIMENSIONS`].
const MIXED: usize = 128;

/// Makes the vectors.
pub(super) struct Mixture {
    seed: u64,
    /// The standard deviation along each axis.
    deviations: Vec<f64>,
    topics: Vec<Vec<f64>>,
    /// The number of groups of alike rows in a topic.
    groups: usize,
    /// 1 or -1 for each axis.
    signs: Vec<f64>,
}

impl Mixture {
    /// Creates a mixture for a number of rows.
    pub(super) fn new(seed: u64, rows: usize) -> Self {
        let mut random = Random::new(seed);
        let deviations = deviations();
        let topics = (0..TOPICS).map(|_| spread(&deviations, &mut random)).collect();
        let signs = (0..DIMENSIONS).map(|_| if random.below(2) == 0 { 1.0 } else { -1.0 }).collect();
        Self { seed, deviations, topics, groups: (rows / ALIKE / TOPICS).max(1), signs }
    }

    /// Makes a vector of length 1, of a topic below [`TOPICS`].
    pub(super) fn near(&self, topic: usize, random: &mut Random) -> Vec<f32> {
        let group = random.below(self.groups) as u64;
        // A seed from the group gives the same numbers for each of its rows.
        let mut of_group = Random::new(self.seed ^ ((topic as u64 + 1) << 40) ^ (group + 1));
        let alike = spread(&self.deviations, &mut of_group);
        let individual = spread(&self.deviations, random);
        let mut vector: Vec<f64> = self.topics[topic]
            .iter()
            .zip(&alike)
            .zip(&individual)
            .map(|((topic, alike), individual)| {
                SHARE_OF_TOPIC.sqrt() * topic
                    + SHARE_OF_ALIKE.sqrt() * alike
                    + (1.0 - SHARE_OF_TOPIC - SHARE_OF_ALIKE).sqrt() * individual
            })
            .collect();
        let length = vector.iter().map(|number| number * number).sum::<f64>().sqrt();
        for number in &mut vector {
            *number *= (1.0 - MEAN * MEAN).sqrt() / length;
        }
        vector[0] += MEAN;
        self.rotate(&mut vector);
        // PostgreSQL stores 32 bits.
        #[allow(clippy::cast_possible_truncation)]
        unit(vector.into_iter().map(|number| number as f32).collect())
    }

    /// Rotates the vector, so that each of its numbers depends on many axes, as in an embedding:
    /// random signs, then a Hadamard matrix for each [`MIXED`] axes. Neighbouring axes go to
    /// different matrices.
    fn rotate(&self, vector: &mut [f64]) {
        let parts = DIMENSIONS / MIXED;
        let axes: Vec<f64> = vector.iter().zip(&self.signs).map(|(number, sign)| number * sign).collect();
        for (axis, number) in axes.into_iter().enumerate() {
            vector[axis % parts * MIXED + axis / parts] = number;
        }
        for part in vector.chunks_exact_mut(MIXED) {
            let mut half = 1;
            while half < MIXED {
                for pair in part.chunks_exact_mut(2 * half) {
                    let (left, right) = pair.split_at_mut(half);
                    for (a, b) in left.iter_mut().zip(right) {
                        (*a, *b) = (*a + *b, *a - *b);
                    }
                }
                half *= 2;
            }
        }
    }
}

/// Returns the standard deviation along each axis. The variances add up to 1.
#[allow(clippy::cast_precision_loss)]
fn deviations() -> Vec<f64> {
    let variances: Vec<f64> =
        (1..=DIMENSIONS).map(|k| k as f64).map(|k| k.powf(-0.55) * (-(k / 250.0).powf(2.5)).exp()).collect();
    let sum: f64 = variances.iter().sum();
    variances.into_iter().map(|variance| (variance / sum).sqrt()).collect()
}

/// Makes a vector with a normal distribution along each axis.
fn spread(deviations: &[f64], random: &mut Random) -> Vec<f64> {
    deviations.iter().map(|deviation| deviation * random.normal()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn the_variances_are_those_of_real_vectors() {
        let variances: Vec<f64> = deviations().into_iter().map(|deviation| deviation * deviation).collect();
        assert!((variances.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // The equivalent number of axes with equal variance. 117 was measured.
        let effective = 1.0 / variances.iter().map(|variance| variance * variance).sum::<f64>();
        assert!((effective - 117.0).abs() < 3.0, "{effective}");
        // Measured: half of the variance on 50 axes, nine tenths on 200.
        assert!((variances[..50].iter().sum::<f64>() - 0.49).abs() < 0.02);
        assert!((variances[..200].iter().sum::<f64>() - 0.90).abs() < 0.02);
    }

    #[test]
    fn a_rotation_keeps_cosines() {
        let mixture = Mixture::new(1, 1);
        let (mut a, mut b) = (vec![0.0; DIMENSIONS], vec![0.0; DIMENSIONS]);
        (a[0], a[5], b[5]) = (3.0, 4.0, 1.0);
        mixture.rotate(&mut a);
        mixture.rotate(&mut b);
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        // The rotation scales all vectors by the same factor.
        let scale = 128.0;
        assert!((product(&a, &a) / scale - 25.0).abs() < 1e-9);
        assert!((product(&a, &b) / scale - 4.0).abs() < 1e-9);
        assert!((product(&b, &b) / scale - 1.0).abs() < 1e-9);
    }

    #[test]
    fn rows_of_a_topic_are_near_and_alike_rows_are_nearer() {
        let mean_of = |rows: usize, same_topic: bool| {
            let mixture = Mixture::new(3, rows);
            let mut random = Random::new(4);
            let sum: f32 = (0..TOPICS)
                .map(|pair| {
                    let other = if same_topic { pair } else { pair + 1 };
                    let a = mixture.near(pair % TOPICS, &mut random);
                    cosine(&a, &mixture.near(other % TOPICS, &mut random))
                })
                .sum();
            // The number of pairs, TOPICS.
            sum / 300.0
        };
        // One group per topic, then so many that two rows are hardly ever in the same one.
        let (alike, topic, any) = (mean_of(1, true), mean_of(10_000_000, true), mean_of(10_000_000, false));
        assert!((alike - 0.68).abs() < 0.04, "{alike}");
        assert!((topic - 0.45).abs() < 0.04, "{topic}");
        assert!((any - 0.08).abs() < 0.04, "{any}");
    }
}
