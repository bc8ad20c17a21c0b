//! Vectors that lie to each other as embeddings of real texts do.
//!
//! What they copy was measured with all-MiniLM-L6-v2's vectors of 74,274 short texts: descriptions of Debian's packages, fortunes
//! and documentation. Their mean is 0.28 long. Along the axes of their spread (principal components) the variances go as
//! k^-0.55 · exp(-(k/250)^2.5), k from 1 to 384, with 4 % between that and what was measured. The median cosine is 0.78 to the
//! nearest other, 0.59 to the tenth, 0.46 to the hundredth, and 0.07 to any; here it is 0.72, 0.59, 0.46 and 0.07.

use crate::data::random::Random;
use crate::data::{DIMENSIONS, unit};

/// Topics.
pub(super) const TOPICS: usize = 300;

/// Rows that say nearly the same, on average.
const ALIKE: usize = 8;

/// Shares of the variance that those of one topic, and those that say nearly the same, have in common.
const OF_THE_TOPIC: f64 = 0.40;
const OF_WHAT_IS_ALIKE: f64 = 0.25;

/// The length of the mean of all.
const MEAN: f64 = 0.28;

/// Axes that one step of the rotation mixes; a power of two of which [`DIMENSIONS`] is a multiple.
const MIXED: usize = 128;

/// Makes them.
pub(super) struct Mixture {
    seed: u64,
    /// The square roots of the variances, by axis.
    deviations: Vec<f64>,
    topics: Vec<Vec<f64>>,
    /// Groups of alike rows in a topic.
    groups: usize,
    /// 1 or -1 for each axis.
    signs: Vec<f64>,
}

impl Mixture {
    /// For so many rows.
    pub(super) fn new(seed: u64, rows: usize) -> Self {
        let mut random = Random::new(seed);
        let deviations = deviations();
        let topics = (0..TOPICS).map(|_| spread(&deviations, &mut random)).collect();
        let signs = (0..DIMENSIONS).map(|_| if random.below(2) == 0 { 1.0 } else { -1.0 }).collect();
        Self { seed, deviations, topics, groups: (rows / ALIKE / TOPICS).max(1), signs }
    }

    /// A vector of length 1, of a topic below [`TOPICS`].
    pub(super) fn near(&self, topic: usize, random: &mut Random) -> Vec<f32> {
        let group = random.below(self.groups) as u64;
        // The same for every row of the group, without being kept.
        let mut of_group = Random::new(self.seed ^ ((topic as u64 + 1) << 40) ^ (group + 1));
        let alike = spread(&self.deviations, &mut of_group);
        let fixture = spread(&self.deviations, random);
        let mut vector: Vec<f64> = self.topics[topic]
            .iter()
            .zip(&alike)
            .zip(&fixture)
            .map(|((topic, alike), fixture)| {
                OF_THE_TOPIC.sqrt() * topic
                    + OF_WHAT_IS_ALIKE.sqrt() * alike
                    + (1.0 - OF_THE_TOPIC - OF_WHAT_IS_ALIKE).sqrt() * fixture
            })
            .collect();
        let length = vector.iter().map(|number| number * number).sum::<f64>().sqrt();
        for number in &mut vector {
            *number *= (1.0 - MEAN * MEAN).sqrt() / length;
        }
        vector[0] += MEAN;
        self.rotate(&mut vector);
        // 32 bits are what is stored.
        #[allow(clippy::cast_possible_truncation)]
        unit(vector.into_iter().map(|number| number as f32).collect())
    }

    /// Turns the axes, so that every number of a vector has a share of all of them, as in an embedding: signs, then Hadamard's
    /// matrix for each [`MIXED`]. Neighbouring axes come to different ones of these.
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

/// The square roots of the variances along the axes; those add up to 1.
#[allow(clippy::cast_precision_loss)]
fn deviations() -> Vec<f64> {
    let variances: Vec<f64> =
        (1..=DIMENSIONS).map(|k| k as f64).map(|k| k.powf(-0.55) * (-(k / 250.0).powf(2.5)).exp()).collect();
    let sum: f64 = variances.iter().sum();
    variances.into_iter().map(|variance| (variance / sum).sqrt()).collect()
}

/// Normal along each axis.
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
        // How many axes of equal variance it is like; 117 were measured.
        let effective = 1.0 / variances.iter().map(|variance| variance * variance).sum::<f64>();
        assert!((effective - 117.0).abs() < 3.0, "{effective}");
        // Measured: half of it on 50 axes, nine tenths on 200.
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
        // Each is longer by the same.
        let scale = 128.0;
        assert!((product(&a, &a) / scale - 25.0).abs() < 1e-9);
        assert!((product(&a, &b) / scale - 4.0).abs() < 1e-9);
        assert!((product(&b, &b) / scale - 1.0).abs() < 1e-9);
    }

    #[test]
    fn those_of_a_topic_are_near_and_those_alike_are_nearer() {
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
            // TOPICS of them.
            sum / 300.0
        };
        // One group a topic, then so many that two rows are hardly ever of one.
        let (alike, topic, any) = (mean_of(1, true), mean_of(10_000_000, true), mean_of(10_000_000, false));
        assert!((alike - 0.68).abs() < 0.04, "{alike}");
        assert!((topic - 0.45).abs() < 0.04, "{topic}");
        assert!((any - 0.08).abs() < 0.04, "{any}");
    }
}
