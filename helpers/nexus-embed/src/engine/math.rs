//! The operations between the matrix products. Each works on whole panels, in loops that the
//! compiler can vectorize.

#![expect(
    clippy::inline_always,
    reason = "only code inlined into the function that enables the processor's instructions is compiled with them"
)]

use crate::machine::{LANES, Lanes, Work};

/// Gaussian error linear unit, by the error function (not the tanh approximation): Hendrycks and Gimpel, arXiv:1606.08415.
pub(super) struct Gelu<'a>(pub(super) &'a mut [f32]);

impl Work for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self) {
        for x in self.0 {
            *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// Multiplies each lane with `scale` and takes exponentials. Returns the factors that make each
/// lane sum to one.
pub(super) struct Exponentials<'a> {
    pub(super) scores: &'a mut [Lanes],
    pub(super) scale: f32,
}

impl Work for Exponentials<'_> {
    type Output = Lanes;

    #[inline(always)]
    fn work(self) -> Lanes {
        let mut largest = [f32::NEG_INFINITY; LANES];
        for scores in &*self.scores {
            for lane in 0..LANES {
                largest[lane] = if scores[lane] > largest[lane] { scores[lane] } else { largest[lane] };
            }
        }
        let mut sums = [0.0; LANES];
        for scores in self.scores {
            for lane in 0..LANES {
                scores[lane] = exp((scores[lane] - largest[lane]) * self.scale);
                sums[lane] += scores[lane];
            }
        }
        sums.map(|sum| 1.0 / sum)
    }
}

/// Adds `other` to the panel, normalizes each lane to mean 0 and variance 1, then scales and shifts
/// each row (Ba et al., arXiv:1607.06450).
pub(super) struct AddAndNormalize<'a> {
    pub(super) panel: &'a mut [Lanes],
    pub(super) other: &'a [Lanes],
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) epsilon: f32,
}

impl Work for AddAndNormalize<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::cast_precision_loss)] // A panel has some hundreds of rows.
    fn work(self) {
        let count = self.panel.len() as f32;
        for (x, other) in self.panel.iter_mut().zip(self.other) {
            for lane in 0..LANES {
                x[lane] += other[lane];
            }
        }
        let mean = sum(self.panel, |x, _| x).map(|sum| sum / count);
        let variance = sum(self.panel, |x, lane| (x - mean[lane]) * (x - mean[lane])).map(|sum| sum / count);
        let factor = variance.map(|variance| 1.0 / (variance + self.epsilon).sqrt());
        for ((x, weight), bias) in self.panel.iter_mut().zip(self.weight).zip(self.bias) {
            for lane in 0..LANES {
                x[lane] = (x[lane] - mean[lane]) * factor[lane] * weight + bias;
            }
        }
    }
}

/// Sums `of` over each lane. Adds four rows at a time, because each addition waits for the one
/// before.
#[inline(always)]
fn sum(panel: &[Lanes], of: impl Fn(f32, usize) -> f32) -> Lanes {
    let (fours, rest) = panel.as_chunks::<4>();
    let mut sums = [[0.0; LANES]; 4];
    for four in fours {
        for (sums, x) in sums.iter_mut().zip(four) {
            for lane in 0..LANES {
                sums[lane] += of(x[lane], lane);
            }
        }
    }
    for x in rest {
        for lane in 0..LANES {
            sums[0][lane] += of(x[lane], lane);
        }
    }
    std::array::from_fn(|lane| (sums[0][lane] + sums[1][lane]) + (sums[2][lane] + sums[3][lane]))
}

/// Error function: Abramowitz and Stegun, 7.1.26; the error is below 5e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let polynomial =
        ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    (1.0 - polynomial * exp(-x * x)).copysign(x)
}

/// Returns e to the power of `x`, with a relative error below 3e-7. Clamps `x` to -87 to 88, so the
/// least result is 1e-38.
#[inline(always)]
#[allow(clippy::excessive_precision)] // The constants of Cephes, expf.c.
fn exp(x: f32) -> f32 {
    // Adding this constant rounds to a whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_375 + n * 2.121_944_400e-4;
    let polynomial = ((((1.987_569_15e-4 * r + 1.398_199_95e-3) * r + 8.333_451_9e-3) * r + 4.166_579_6e-2)
        * r
        + 1.666_666_55e-1)
        * r
        + 5.000_000_1e-1;
    let power = (shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127)) << 23;
    (polynomial * r * r + r + 1.0) * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::Instructions;

    proptest! {
        #[test]
        fn exp_is_accurate(x in -87.0_f32..88.0) {
            let exact = f64::from(x).exp();
            prop_assert!((f64::from(exp(x)) - exact).abs() <= exact * 3e-7, "{} {exact}", exp(x));
        }

        #[test]
        fn lanes_are_normalized(panel in proptest::collection::vec(proptest::array::uniform8(-9.0_f32..9.0), 2..50)) {
            let (ones, zeros) = (vec![1.0; panel.len()], vec![0.0; panel.len()]);
            let mut ours = panel.clone();
            Instructions::best().run(AddAndNormalize { panel: &mut ours, other: &panel, weight: &ones, bias: &zeros, epsilon: 1e-12 });
            let count = f64::from(u16::try_from(panel.len()).unwrap());
            for lane in 0..LANES {
                let doubled: Vec<f64> = panel.iter().map(|x| f64::from(x[lane]) * 2.0).collect();
                let mean = doubled.iter().sum::<f64>() / count;
                let variance = doubled.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                prop_assume!(variance > 1e-3);
                for (ours, x) in ours.iter().zip(&doubled) {
                    prop_assert!((f64::from(ours[lane]) - (x - mean) / variance.sqrt()).abs() < 1e-4);
                }
            }
        }

        #[test]
        fn shares_sum_to_one_and_keep_their_order(
            scores in proptest::collection::vec(proptest::array::uniform8(-30.0_f32..30.0), 1..40), scale in 0.1_f32..1.0
        ) {
            let mut ours = scores.clone();
            let factor = Instructions::best().run(Exponentials { scores: &mut ours, scale });
            for lane in 0..LANES {
                let total: f64 = scores.iter().map(|x| f64::from(x[lane] * scale).exp()).sum();
                for (ours, x) in ours.iter().zip(&scores) {
                    prop_assert!((f64::from(ours[lane] * factor[lane]) - f64::from(x[lane] * scale).exp() / total).abs() < 1e-5);
                }
            }
        }
    }

    /// Values of the error function from Abramowitz and Stegun, table 7.1.
    #[test]
    fn erf_is_that_of_the_table() {
        for (x, exact) in
            [(0.0, 0.0), (0.1, 0.112_462_92), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3)]
        {
            assert!((erf(x) - exact).abs() < 5e-7, "{x}");
            assert!((erf(-x) + exact).abs() < 5e-7, "-{x}");
        }
        assert_eq!((erf(9.0), erf(-9.0)), (1.0, -1.0));
    }
}
